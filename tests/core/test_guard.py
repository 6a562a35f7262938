# SPDX-License-Identifier: Apache-2.0
"""The egress guard: the VMAC never leaves as a source, nor ARP that gives a virtual IP away.

Checksums are scapy's, computed anew over what is expected.
"""

import dataclasses

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import (
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
)
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

from wlbs.core.address import Mac
from wlbs.core.filter import Verdict
from wlbs.core.guard import guard, mask
from wlbs.core.reason import Reason
from wlbs.core.table import FilterTable

VMAC = "02:bf:0a:00:00:01"
STATION = "52:00:00:00:00:11"
CLIENT = "52:00:00:00:00:99"
TO_CLIENT = IP(src="10.0.0.1", dst="192.0.2.77") / TCP()
VIP_AT_VMAC = ARP(op=2, hwsrc=VMAC, psrc="10.0.0.1", pdst="192.0.2.77")
VIP_AT_STATION = ARP(op=2, hwsrc=STATION, psrc="10.0.0.1", pdst="192.0.2.77")
DEDICATED_AT_STATION = ARP(op=2, hwsrc=STATION, psrc="10.0.0.11", pdst="192.0.2.77")


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (Ether(src=STATION, dst=CLIENT) / TO_CLIENT, Reason.GUARD_PASSED),
        (Ether(src=VMAC, dst=CLIENT) / TO_CLIENT, Reason.GUARD_MASKED),
        (Ether(src=STATION, dst=CLIENT) / VIP_AT_VMAC, Reason.GUARD_PASSED),
        (Ether(src=VMAC, dst=CLIENT) / VIP_AT_VMAC, Reason.GUARD_MASKED),
        (Ether(src=STATION, dst=CLIENT) / VIP_AT_STATION, Reason.GUARD_ARP_DROPPED),
        (Ether(src=VMAC, dst=CLIENT) / VIP_AT_STATION, Reason.GUARD_ARP_DROPPED),
        (Ether(src=STATION, dst=CLIENT) / DEDICATED_AT_STATION, Reason.GUARD_PASSED),
        (b"short", Reason.GUARD_PASSED),
    ],
)
def test_what_leaves_is_judged(
    tables: tuple[FilterTable, ...], frame: Packet | bytes, reason: Reason
) -> None:
    assert guard(tables[0], bytes(frame)).reason is reason


MASKED = "02:01:0a:00:00:01"


@pytest.fixture
def table(tables: tuple[FilterTable, ...]) -> FilterTable:
    """Return host 1's table in mode unicast."""
    return dataclasses.replace(tables[0], station_mac=Mac.parse(VMAC), masked_mac=Mac.parse(MASKED))


def neighbours(source: str, named: str) -> tuple[Packet, ...]:
    """Return ARP and neighbour discovery of the host's own addresses, from one MAC naming one."""
    ether = Ether(src=source, dst=CLIENT)
    ipv6 = IPv6(src="fe80::1", dst="ff02::1")
    option = ICMPv6NDOptSrcLLAddr(lladdr=named)
    return (
        ether / ARP(op=1, hwsrc=named, psrc="10.0.0.11", pdst="192.0.2.77"),
        ether / ARP(op=1, hwsrc=named, psrc="0.0.0.0", pdst="10.0.0.11"),  # noqa: S104 - a probe
        ether / ipv6 / ICMPv6ND_NS(tgt="fe80::2") / option,
        ether / ipv6 / ICMPv6ND_NA(tgt="fe80::1") / option / ICMPv6NDOptDstLLAddr(lladdr=named),
    )


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("source", [VMAC, STATION])
def test_a_hosts_own_addresses_are_at_its_masked_mac(
    table: FilterTable, source: str, place: int
) -> None:
    frame = bytes(neighbours(source, VMAC)[place])
    verdict = guard(table, frame)
    assert verdict.reason is Reason.GUARD_NEIGHBOUR_MASKED
    seen_from = MASKED if source == VMAC else source
    assert mask(table, frame, verdict) == bytes(neighbours(seen_from, MASKED)[place])


@pytest.mark.parametrize("place", range(4))
def test_what_names_another_mac_is_masked_as_a_source_alone(table: FilterTable, place: int) -> None:
    frame = bytes(neighbours(VMAC, STATION)[place])
    verdict = guard(table, frame)
    assert verdict.reason is Reason.GUARD_MASKED
    assert mask(table, frame, verdict) == bytes(neighbours(MASKED, STATION)[place])


def test_a_virtual_ip_stays_at_the_virtual_mac(table: FilterTable) -> None:
    frame = bytes(Ether(src=VMAC, dst=CLIENT) / VIP_AT_VMAC)
    masked = mask(table, frame, guard(table, frame))
    assert masked == bytes(Ether(src=MASKED, dst=CLIENT) / VIP_AT_VMAC)


def test_what_is_not_masked_leaves_as_it_is(table: FilterTable) -> None:
    for frame in (b"short", bytes(Ether(src=STATION, dst=CLIENT) / TO_CLIENT)):
        assert mask(table, frame, guard(table, frame)) == frame


@pytest.mark.parametrize("place", range(4))
def test_behind_a_hub_nothing_is_masked(table: FilterTable, place: int) -> None:
    """KB Q193602: there the VMAC may be seen, so that one hub port serves all hosts."""
    unmasked = dataclasses.replace(table, masked_mac=table.vmac)
    frame = bytes(neighbours(VMAC, VMAC)[place])
    assert guard(unmasked, frame).reason is Reason.GUARD_PASSED
    lying = bytes(Ether(src=VMAC, dst=CLIENT) / VIP_AT_STATION)
    assert guard(unmasked, lying).reason is Reason.GUARD_ARP_DROPPED


def test_bytes_that_are_no_frame_have_nothing_to_mask(table: FilterTable) -> None:
    """Never asked for by the guard, which passes them."""
    assert mask(table, b"short", Verdict(Reason.GUARD_NEIGHBOUR_MASKED)) == b"short"
