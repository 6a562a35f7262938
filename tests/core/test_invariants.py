# SPDX-License-Identifier: Apache-2.0
"""The guarantees: silent where they hold, and each seen to speak where it is broken."""

import dataclasses

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

from wlbs.core.address import IpAddress, Mac
from wlbs.core.invariants import (
    Guarantee,
    judge_arp_answers,
    judge_owners,
    judge_pair,
    judge_relays,
    judge_silent,
    judge_sources,
)
from wlbs.core.probe import encode_delivery, encode_pull
from wlbs.core.rules import HostIndex
from wlbs.core.table import NOBODY, Buckets, FilterTable

VMAC = "02:bf:0a:00:00:01"
STATION = "52:00:00:00:00:11"
CLIENT = "52:00:00:00:00:99"
TO_VMAC = Ether(src=CLIENT, dst=VMAC)
TO_VIP = IP(src="192.0.2.77", dst="10.0.0.1")
QUERY = bytes(TO_VMAC / TO_VIP / UDP(sport=40000, dport=53))
REQUEST = ARP(op=1, hwsrc=CLIENT, psrc="192.0.2.77", pdst="10.0.0.1")
VIPS = frozenset({IpAddress.parse("10.0.0.1")})


def owned_by(table: FilterTable, owner: HostIndex) -> FilterTable:
    buckets = Buckets(bytes((owner,)) * 4096)
    return dataclasses.replace(table, buckets=(buckets,) * len(table.buckets))


def test_equal_tables_keep_the_law(tables: tuple[FilterTable, ...]) -> None:
    assert judge_owners(tables, QUERY) == ()
    assert judge_owners(tables, bytes(TO_VMAC / TO_VIP / TCP(dport=80, flags="S"))) == ()
    assert judge_owners(tables, bytes(Ether(src=CLIENT, dst="ff:ff:ff:ff:ff:ff") / REQUEST)) == ()


def test_two_hosts_that_keep_the_same_flow_break_it(tables: tuple[FilterTable, ...]) -> None:
    selfish = [owned_by(table, table.own) for table in tables]
    (violation,) = judge_owners(selfish, QUERY)
    assert violation.guarantee is Guarantee.ONE_OWNER
    assert violation.seen == f"kept by hosts [1, 2, 3]: {QUERY.hex()}"


def test_two_keepers_of_three_are_one_too_many(tables: tuple[FilterTable, ...]) -> None:
    pair = [owned_by(table, table.own) for table in tables[:2]]
    third = owned_by(tables[2], tables[0].own)
    (violation,) = judge_owners([*pair, third], QUERY)
    assert violation.guarantee is Guarantee.ONE_OWNER


def test_a_flow_that_nobody_keeps_breaks_it(tables: tuple[FilterTable, ...]) -> None:
    shy = [owned_by(table, HostIndex(9)) for table in tables]
    (violation,) = judge_owners(shy, QUERY)
    assert violation.guarantee is Guarantee.NO_GAP
    assert violation.seen == f"kept by nobody: {QUERY.hex()}"


def relaying(
    tables: tuple[FilterTable, ...], receiver: HostIndex
) -> tuple[FilterTable, FilterTable, FilterTable]:
    """Return tables by which a host receives for all three."""
    stations = tuple((table.own, table.station_mac) for table in tables)
    one, two, three = (
        dataclasses.replace(table, receiver=receiver, station_macs=stations) for table in tables
    )
    return one, two, three


def test_frames_are_followed_to_whom_they_are_relayed(tables: tuple[FilterTable, ...]) -> None:
    for receiver in (0, 1, 2):
        through = relaying(tables, HostIndex(receiver))
        assert judge_owners(through, QUERY) == ()
        for port in range(40):
            syn = TCP(sport=40000 + port, dport=80, flags="S")
            assert judge_owners(through, bytes(TO_VMAC / TO_VIP / syn)) == ()


def test_a_receiver_that_relays_nothing_breaks_it(tables: tuple[FilterTable, ...]) -> None:
    two = owned_by(tables[0], HostIndex(1)), owned_by(tables[1], HostIndex(1)), tables[2]
    receiver, *others = relaying(two, HostIndex(0))
    mute = dataclasses.replace(receiver, station_macs=())
    (violation,) = judge_owners([mute, *others], QUERY)
    assert violation.guarantee is Guarantee.NO_GAP


def test_one_that_takes_relayed_frames_and_the_segments_breaks_it(
    tables: tuple[FilterTable, ...],
) -> None:
    """The receiver relays to the owner, and a third takes what the segment floods."""
    owned = owned_by(tables[0], HostIndex(1)), owned_by(tables[1], HostIndex(1)), tables[2]
    receiver, owner, third = relaying(owned, HostIndex(0))
    deaf = dataclasses.replace(owned_by(third, third.own), receiver=None)
    (violation,) = judge_owners([receiver, owner, deaf], QUERY)
    assert violation.guarantee is Guarantee.ONE_OWNER
    assert violation.seen == f"kept by hosts [2, 3]: {QUERY.hex()}"


def test_later_fragments_and_disabled_rules_are_the_stated_exceptions(
    tables: tuple[FilterTable, ...],
) -> None:
    fragment = bytes(TO_VMAC / IP(src="192.0.2.77", dst="10.0.0.1", frag=1, proto=17) / b"x")
    assert judge_owners(tables, fragment) == ()
    assert judge_owners([owned_by(table, NOBODY) for table in tables], QUERY) == ()


def test_a_frame_from_the_vmac_is_a_leak() -> None:
    clean, leak = bytes(Ether(src=STATION) / TO_VIP), bytes(Ether(src=VMAC) / TO_VIP)
    assert judge_sources(Mac.parse(VMAC), [clean, b"short"]) == ()
    (violation,) = judge_sources(Mac.parse(VMAC), [clean, leak])
    assert violation.guarantee is Guarantee.VMAC_HIDDEN
    assert violation.seen == f"ethertype 0x0800 from {VMAC}"


def test_a_pull_is_meant_to_be_from_the_vmac_and_nothing_else_of_its_ethertype_is() -> None:
    pull = bytes(Ether(src=VMAC, type=0x886F) / Raw(encode_pull(HostIndex(1))))
    delivery = bytes(Ether(src=VMAC, type=0x886F) / Raw(encode_delivery(HostIndex(1))))
    assert judge_sources(Mac.parse(VMAC), [pull]) == ()
    assert len(judge_sources(Mac.parse(VMAC), [pull, delivery])) == 1


def test_arp_names_the_vmac_inside_and_another_mac_outside() -> None:
    true = ARP(op=2, hwsrc=VMAC, psrc="10.0.0.1")
    foreign = ARP(op=2, hwsrc=STATION, psrc="10.0.0.99")
    good = [
        b"short",
        bytes(TO_VMAC / TO_VIP),
        bytes(Ether(src=CLIENT) / REQUEST),
        bytes(Ether(src=STATION) / foreign),
        bytes(Ether(src=STATION) / true),
    ]
    assert judge_arp_answers(Mac.parse(VMAC), VIPS, good) == ()
    bad = [
        bytes(Ether(src=STATION) / ARP(op=2, hwsrc=STATION, psrc="10.0.0.1")),
        bytes(Ether(src=VMAC) / true),
    ]
    violations = judge_arp_answers(Mac.parse(VMAC), VIPS, bad)
    assert [each.guarantee for each in violations] == [Guarantee.ARP_TRUE] * 2
    assert violations[0].seen == f"10.0.0.1 is at {STATION}, said by {STATION}"
    assert violations[1].seen == f"10.0.0.1 is at {VMAC}, said by {VMAC}"


def test_two_tables_may_share_no_bucket(tables: tuple[FilterTable, ...]) -> None:
    first, second = tables[0].own, tables[1].own
    everything, nothing = owned_by(tables[0], first), owned_by(tables[1], first)
    assert judge_pair(everything, nothing) == ()
    (violation,) = judge_pair(everything, owned_by(tables[1], second))
    assert violation.guarantee is Guarantee.ONE_OWNER
    assert violation.seen == f"hosts 1 and 2 both own {4096 * len(tables[0].buckets)} buckets"


def test_nobody_is_relayed_to_who_takes_frames_from_the_segment(
    tables: tuple[FilterTable, ...],
) -> None:
    one, two, three = tables
    station = ((two.own, two.station_mac),)
    relaying = dataclasses.replace(one, receiver=one.own, station_macs=station)
    (violation,) = judge_relays(relaying, two)
    assert violation.guarantee is Guarantee.RELAYED_ONCE
    assert violation.seen == "host 1 relays to 2, which takes frames from the segment"
    assert judge_relays(relaying, dataclasses.replace(two, receiver=two.own))
    assert judge_relays(relaying, dataclasses.replace(two, receiver=one.own)) == ()
    assert judge_relays(relaying, three) == (), "host 3 is not relayed to"
    following = dataclasses.replace(one, receiver=three.own, station_macs=station)
    assert judge_relays(following, two) == ()


def test_a_live_lease_needs_an_agent_that_runs() -> None:
    assert judge_silent(HostIndex(1), 300, 300) == ()
    (violation,) = judge_silent(HostIndex(1), 350_000_000, 300_000_000)
    assert violation.guarantee is Guarantee.STALLED_KEEPS_NOTHING
    assert violation.seen == "host 2 has a live lease after 350 ms without its agent"
