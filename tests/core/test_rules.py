# SPDX-License-Identifier: Apache-2.0
"""Port rules: what each covers, when two overlap, and which rule decides."""

import pytest

from wlbs.core.address import IpAddress
from wlbs.core.rules import DEFAULT_RULE, HostIndex, PortRule, Protocol, find_rule

VIP = IpAddress.parse("10.0.0.1")
OTHER = IpAddress.parse("10.0.0.2")
TCP, UDP, ICMP = 6, 17, 1


@pytest.mark.parametrize(
    ("covered", "protocol", "expected"),
    [
        (Protocol.TCP, TCP, True),
        (Protocol.TCP, UDP, False),
        (Protocol.UDP, UDP, True),
        (Protocol.UDP, TCP, False),
        (Protocol.BOTH, TCP, True),
        (Protocol.BOTH, UDP, True),
        (Protocol.BOTH, ICMP, False),
    ],
)
def test_a_rule_covers_its_protocols(covered: Protocol, protocol: int, *, expected: bool) -> None:
    assert PortRule(80, 80, covered).covers(VIP, protocol, 80) is expected


@pytest.mark.parametrize(("port", "expected"), [(79, False), (80, True), (89, True), (90, False)])
def test_a_rule_covers_its_ports_ends_included(port: int, *, expected: bool) -> None:
    assert PortRule(80, 89).covers(VIP, TCP, port) is expected


def test_a_rule_with_a_virtual_ip_covers_no_other() -> None:
    assert PortRule(80, 80, vip=VIP).covers(VIP, TCP, 80)
    assert not PortRule(80, 80, vip=VIP).covers(OTHER, TCP, 80)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (PortRule(85, 99), True),
        (PortRule(1, 80), True),
        (PortRule(90, 99), False),
        (PortRule(1, 79), False),
        (PortRule(80, 89, Protocol.UDP), False),
        (PortRule(80, 89, vip=OTHER), False),
        (PortRule(80, 89, vip=VIP), True),
    ],
)
def test_two_rules_overlap_when_a_packet_could_fall_under_both(
    other: PortRule, *, expected: bool
) -> None:
    rule = PortRule(80, 89, Protocol.TCP, vip=VIP)
    assert rule.overlaps(other) is expected
    assert other.overlaps(rule) is expected


def test_a_rule_for_every_virtual_ip_overlaps_one_for_a_single_one() -> None:
    assert PortRule(80, 80).overlaps(PortRule(80, 80, vip=VIP))


def test_a_host_without_a_weight_of_its_own_has_the_default() -> None:
    rule = PortRule(80, 80, load_weights={HostIndex(0): 7})
    assert rule.load_weight(HostIndex(0)) == 7
    assert rule.load_weight(HostIndex(1)) == 50


@pytest.mark.parametrize(
    ("port", "rule"), [(80, 0), (443, 1), (22, DEFAULT_RULE), (None, DEFAULT_RULE)]
)
def test_what_no_rule_covers_falls_to_the_default_rule(port: int | None, rule: int) -> None:
    assert find_rule((PortRule(80, 80), PortRule(443, 443)), VIP, TCP, port) == rule
