# SPDX-License-Identifier: Apache-2.0
"""The reference filter: one frame for each reason it can give, built by scapy.

What is expected is said by name of the reason. Who owns a bucket is set by hand here, so that
nothing of the hash or the allocation is needed to read a case.
"""

import dataclasses

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

from wlbs.core.address import IpAddress, Mac
from wlbs.core.buckets import Flow, bucket_of
from wlbs.core.claim import Claim
from wlbs.core.filter import Verdict, decide, locate, rewrite
from wlbs.core.frame import Frame, parse
from wlbs.core.frame import Packet as IpPacket
from wlbs.core.probe import PROBE_PORT, Answer, encode_answer, encode_request
from wlbs.core.reason import Action, Reason
from wlbs.core.rules import DEFAULT_RULE, Affinity, HostIndex
from wlbs.core.table import NEXT_SHIFT, NOBODY, Buckets, FilterTable, Mark, Vip

VMAC = "02:bf:0a:00:00:01"
STATION = "52:00:00:00:00:11"
CLIENT = "52:00:00:00:00:99"
BROADCAST = "ff:ff:ff:ff:ff:ff"
ONE, TWO = HostIndex(0), HostIndex(1)
VIP = IpAddress.parse("10.0.0.1")


def to(destination: str, source: str = CLIENT) -> Ether:
    return Ether(dst=destination, src=source)


def ip(destination: str = "10.0.0.1", frag: int = 0, proto: int | None = None) -> IP:
    packet = IP(src="192.0.2.77", dst=destination, frag=frag)
    if proto is not None:
        packet.proto = proto
    return packet


SYN = to(VMAC) / ip() / TCP(sport=40000, dport=80, flags="S")
SEGMENT = to(VMAC) / ip() / TCP(sport=40000, dport=80, flags="A")
QUERY = to(VMAC) / ip() / UDP(sport=40000, dport=53)
PING = to(VMAC) / ip() / ICMP()
FRAGMENT = to(VMAC) / ip(frag=1, proto=17) / b"rest"
DELIVERY = b"wlbs\1\2\3"
DEDICATED = IpAddress.parse("10.0.0.11")
REQUEST = ARP(op=1, hwsrc=CLIENT, psrc="192.0.2.77", pdst="10.0.0.1")


@pytest.fixture
def table(tables: tuple[FilterTable, ...]) -> FilterTable:
    """Return host 1's table, in which it owns and resolves everything."""
    return held(tables[0], ONE)


def held(table: FilterTable, owner: HostIndex, marks: Mark = Mark(0)) -> FilterTable:  # noqa: B008
    buckets = Buckets(bytes((owner,)) * 4096, bytes((marks,)) * 4096)
    return dataclasses.replace(
        table,
        buckets=(buckets,) * len(table.buckets),
        vips=tuple(Vip(vip.address, owner) for vip in table.vips),
    )


def reason_for(
    table: FilterTable, frame: Packet | bytes, claim: Claim = Claim.NONE, *, lease_live: bool = True
) -> Reason:
    return decide(table, bytes(frame), claim=claim, lease_live=lease_live).reason


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"short", Reason.NOT_CLUSTER),
        (Ether(dst=BROADCAST, src=CLIENT, type=0x886F) / b"beat", Reason.HEARTBEAT),
        (Ether(dst=BROADCAST, src=CLIENT, type=0x886F) / DELIVERY, Reason.HEARTBEAT),
        (Ether(dst=VMAC, src=CLIENT, type=0x886F) / b"beat", Reason.HEARTBEAT),
        (Ether(dst=VMAC, src=CLIENT, type=0x886F) / DELIVERY, Reason.DELIVERY_PROBE),
        (to(CLIENT, VMAC) / ip() / TCP(), Reason.SOURCE_VMAC),
        (to(CLIENT) / ip() / TCP(), Reason.NOT_CLUSTER),
        (Ether(dst=BROADCAST, src=CLIENT, type=0x1234), Reason.NOT_CLUSTER),
        (Ether(dst=VMAC, src=CLIENT, type=0x8100) / b"\0\7", Reason.VLAN),
        (Ether(dst=VMAC, src=CLIENT, type=0x86DD), Reason.ETHERTYPE),
        (to(VMAC) / ip("10.0.0.99") / TCP(), Reason.NOT_VIP),
        (to(VMAC) / ip("239.255.0.1") / UDP(), Reason.NOT_CLUSTER),
        (to(BROADCAST) / ip("239.255.0.1") / UDP(), Reason.NOT_CLUSTER),
        (to(STATION) / ip("10.0.0.99") / TCP(), Reason.NOT_CLUSTER),
        (to(BROADCAST) / ip() / TCP(), Reason.GROUP_DESTINATION),
        (Ether(dst=VMAC, src=CLIENT, type=0x0800) / b"x", Reason.IPV4_MALFORMED),
        (Ether(dst=STATION, src=CLIENT, type=0x0800) / b"x", Reason.NOT_CLUSTER),
        (to(VMAC) / ip(proto=6) / b"x", Reason.TCP_MALFORMED),
        (to(VMAC) / ip(proto=17) / b"x", Reason.UDP_MALFORMED),
        (to(VMAC) / ip(proto=1) / b"x", Reason.ICMP_MALFORMED),
        (FRAGMENT, Reason.FRAGMENT),
        (SYN, Reason.OWNER),
        (SEGMENT, Reason.OWNER),
        (QUERY, Reason.OWNER),
        (PING, Reason.OWNER),
        (to(STATION) / ip() / TCP(), Reason.OWNER),
    ],
)
def test_a_frame_is_decided(table: FilterTable, frame: Packet | bytes, reason: Reason) -> None:
    assert reason_for(table, frame) is reason


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (to(BROADCAST) / REQUEST, Reason.ARP_ANSWERED),
        (to(VMAC) / REQUEST, Reason.ARP_ANSWERED),
        (Ether(dst=VMAC, src=CLIENT, type=0x0806) / b"x", Reason.ARP_MALFORMED),
        (Ether(dst=BROADCAST, src=CLIENT, type=0x0806) / b"x", Reason.NOT_CLUSTER),
        (to(BROADCAST) / ARP(op=1, hwsrc=VMAC, psrc="10.0.0.2"), Reason.ARP_ANNOUNCED),
        (to(BROADCAST) / ARP(op=1, hwsrc=CLIENT, psrc="10.0.0.2"), Reason.ARP_CONFLICT),
        (to(BROADCAST) / ARP(op=2, psrc="192.0.2.77", pdst="10.0.0.1"), Reason.ARP_OTHER),
        (to(VMAC) / ARP(op=1, psrc="192.0.2.77", pdst="10.0.0.99"), Reason.ARP_OTHER),
        (to(BROADCAST) / ARP(op=1, psrc="192.0.2.77", pdst="10.0.0.99"), Reason.NOT_CLUSTER),
    ],
)
def test_arp_is_decided(table: FilterTable, frame: Packet, reason: Reason) -> None:
    assert reason_for(table, frame) is reason


def test_arp_for_another_hosts_virtual_ip_is_left_to_it(table: FilterTable) -> None:
    assert reason_for(held(table, TWO), to(BROADCAST) / REQUEST) is Reason.ARP_NOT_OWNER


def test_arp_is_answered_by_everybody_while_its_resolver_is_in_doubt(table: FilterTable) -> None:
    doubtful = dataclasses.replace(table, vips=(Vip(VIP, TWO, everyone_answers=True),))
    assert reason_for(doubtful, to(BROADCAST) / REQUEST) is Reason.ARP_ANSWERED


@pytest.mark.parametrize("frame", [SYN, QUERY, PING, SEGMENT, FRAGMENT, to(BROADCAST) / REQUEST])
def test_without_a_lease_nothing_new_is_taken(table: FilterTable, frame: Packet) -> None:
    assert reason_for(table, frame, lease_live=False) is Reason.LEASE_EXPIRED


@pytest.mark.parametrize("claim", Claim)
@pytest.mark.parametrize("frame", [SYN, QUERY, PING, SEGMENT, FRAGMENT, to(BROADCAST) / REQUEST])
def test_a_host_that_was_stopped_serves_nothing_without_a_lease(
    table: FilterTable, frame: Packet, claim: Claim
) -> None:
    stopped = dataclasses.replace(table, is_stopped=True)
    assert reason_for(stopped, frame, claim, lease_live=False) is Reason.STOPPED
    assert reason_for(stopped, frame, claim) is reason_for(table, frame, claim)


def test_a_stopped_host_leaves_alone_what_is_anothers(table: FilterTable) -> None:
    stopped = dataclasses.replace(held(table, TWO), is_stopped=True)
    assert reason_for(stopped, SYN, lease_live=False) is Reason.NOT_OWNER
    assert reason_for(stopped, SEGMENT, Claim.SOCKET, lease_live=False) is Reason.STOPPED


@pytest.mark.parametrize("frame", [SYN, QUERY, PING, SEGMENT])
def test_another_hosts_bucket_and_nobodys_are_left_alone(table: FilterTable, frame: Packet) -> None:
    assert reason_for(held(table, TWO), frame) is Reason.NOT_OWNER
    assert reason_for(held(table, NOBODY), frame) is Reason.DISABLED


@pytest.mark.parametrize(
    ("owner", "marks", "claim", "reason"),
    [
        (ONE, Mark.FLAGGED, Claim.NONE, Reason.UNCLAIMED),
        (ONE, Mark.FLAGGED, Claim.LISTENER, Reason.UNCLAIMED),
        (ONE, Mark.FLAGGED, Claim.COOKIE, Reason.COOKIE),
        (ONE, Mark.FLAGGED, Claim.SOCKET, Reason.CLAIMED),
        (TWO, Mark.FLAGGED, Claim.SOCKET, Reason.CLAIMED),
        (TWO, Mark.FLAGGED, Claim.COOKIE, Reason.UNCLAIMED),
        (TWO, Mark.FLAGGED | Mark.EARLIER_HOLDER, Claim.COOKIE, Reason.COOKIE),
        (TWO, Mark.EARLIER_HOLDER, Claim.SOCKET, Reason.NOT_OWNER),
    ],
)
def test_in_a_flagged_bucket_the_host_whose_socket_claims_a_segment_keeps_it(
    table: FilterTable, owner: HostIndex, marks: Mark, claim: Claim, reason: Reason
) -> None:
    assert reason_for(held(table, owner, marks), SEGMENT, claim) is reason


@pytest.mark.parametrize(
    ("claim", "reason"),
    [
        (Claim.NONE, Reason.LEASE_EXPIRED),
        (Claim.LISTENER, Reason.LEASE_EXPIRED),
        (Claim.COOKIE, Reason.LEASE_EXPIRED),
        (Claim.SOCKET, Reason.CLAIMED),
    ],
)
def test_without_a_lease_only_connections_go_on(
    table: FilterTable, claim: Claim, reason: Reason
) -> None:
    for marks in (Mark(0), Mark.FLAGGED):
        assert reason_for(held(table, ONE, marks), SEGMENT, claim, lease_live=False) is reason


@pytest.mark.parametrize("frame", [SYN, QUERY, PING])
def test_a_flag_does_not_concern_what_opens_a_connection_or_has_none(
    table: FilterTable, frame: Packet
) -> None:
    assert reason_for(held(table, ONE, Mark.FLAGGED), frame) is Reason.OWNER
    assert reason_for(held(table, TWO, Mark.FLAGGED), frame) is Reason.NOT_OWNER


@pytest.mark.parametrize(
    ("frame", "rule", "affinity", "flow"),
    [
        (SYN, 0, Affinity.NONE, (40000, 80, 6)),
        (QUERY, 1, Affinity.SINGLE, (40000, 53, 17)),
        (PING, DEFAULT_RULE, Affinity.SINGLE, (0, 0, 1)),
        (to(VMAC) / ip() / UDP(sport=9, dport=80), DEFAULT_RULE, Affinity.SINGLE, (9, 80, 17)),
        (to(VMAC) / ip(proto=47) / b"gre", DEFAULT_RULE, Affinity.SINGLE, (0, 0, 47)),
    ],
)
def test_a_packet_is_located_by_its_rule_and_its_affinity(
    table: FilterTable, frame: Packet, rule: int, affinity: Affinity, flow: tuple[int, int, int]
) -> None:
    parsed = parse(bytes(frame))
    assert isinstance(parsed, Frame)
    assert isinstance(parsed.payload, IpPacket)
    client = IpAddress.parse("192.0.2.77")
    expected = bucket_of(table.key, affinity, Flow(client, *flow))
    assert locate(table, parsed.payload) == (rule, expected)


def test_a_kept_frame_is_addressed_to_the_station_and_otherwise_as_it_came(
    table: FilterTable,
) -> None:
    kept = rewrite(table, bytes(SYN), Verdict(Reason.OWNER), lease_live=True)
    assert kept == Mac.parse(STATION).octets + bytes(SYN)[6:]


@pytest.mark.parametrize("reason", [Reason.NOT_OWNER, Reason.NOT_CLUSTER])
def test_a_dropped_or_passed_frame_is_left_as_it_came(table: FilterTable, reason: Reason) -> None:
    assert rewrite(table, bytes(SYN), Verdict(reason), lease_live=True) == bytes(SYN)


def test_an_arp_answer_has_the_vmac_inside_and_the_station_outside(table: FilterTable) -> None:
    padding = bytes(18)
    question = bytes(to(BROADCAST) / REQUEST) + padding
    verdict = decide(table, question, claim=Claim.NONE, lease_live=True)
    assert verdict.action is Action.ANSWER
    answer = ARP(op=2, hwsrc=VMAC, psrc="10.0.0.1", hwdst=CLIENT, pdst="192.0.2.77")
    expected = bytes(Ether(dst=CLIENT, src=STATION) / answer) + padding
    assert rewrite(table, question, verdict, lease_live=True) == expected


def probe(destination: str = STATION, port: int = PROBE_PORT) -> Packet:
    """Return a liveness probe to 10.0.0.11."""
    udp = UDP(sport=40000, dport=port)
    return to(destination) / ip("10.0.0.11") / udp / encode_request(7)


@pytest.mark.parametrize("destination", [STATION, VMAC])
@pytest.mark.parametrize("lease_live", [True, False])
def test_a_liveness_probe_is_answered_with_the_lease_and_the_nonce(
    table: FilterTable, destination: str, *, lease_live: bool
) -> None:
    probed = dataclasses.replace(table, dedicated_ip=DEDICATED, boot_nonce=99)
    question = bytes(probe(destination))
    verdict = decide(probed, question, claim=Claim.NONE, lease_live=lease_live)
    assert verdict == Verdict(Reason.PROBE_ANSWERED)
    answer = Ether(rewrite(probed, question, verdict, lease_live=lease_live))
    expected = (
        Ether(dst=CLIENT, src=STATION)
        / IP(src="10.0.0.11", dst="192.0.2.77")
        / UDP(sport=PROBE_PORT, dport=40000, chksum=0)
        / encode_answer(Answer(7, lease_live, 99), table.key)
    )
    assert bytes(answer) == bytes(expected)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (probe(port=PROBE_PORT + 1), Reason.NOT_CLUSTER),
        (probe(BROADCAST), Reason.NOT_CLUSTER),
        (probe(CLIENT), Reason.NOT_CLUSTER),
        (probe(VMAC, PROBE_PORT + 1), Reason.OWN),
    ],
)
def test_what_is_no_liveness_probe_of_this_host_is_not_answered(
    table: FilterTable, frame: Packet, reason: Reason
) -> None:
    assert reason_for(dataclasses.replace(table, dedicated_ip=DEDICATED), frame) is reason
    unreachable = dataclasses.replace(table, dedicated_ip=None)
    assert reason_for(unreachable, probe()) is Reason.NOT_CLUSTER


MASKED = "02:01:0a:00:00:01"


@pytest.fixture
def classic(table: FilterTable) -> FilterTable:
    """Return host 1's table in mode unicast: its interface has the VMAC and sends from another."""
    return dataclasses.replace(
        table, station_mac=table.vmac, masked_mac=Mac.parse(MASKED), dedicated_ip=DEDICATED
    )


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (to(MASKED) / ip("10.0.0.11") / TCP(), Reason.OWN),
        (to(VMAC) / ip("10.0.0.11") / TCP(), Reason.OWN),
        (to(VMAC) / ip("10.0.0.12") / TCP(), Reason.NOT_VIP),
        (to(MASKED) / ARP(op=2, psrc="192.0.2.77", pdst="10.0.0.11"), Reason.OWN),
        (to(VMAC) / ARP(op=1, psrc="192.0.2.77", pdst="10.0.0.11"), Reason.OWN),
        (to(BROADCAST) / ARP(op=1, psrc="192.0.2.77", pdst="10.0.0.11"), Reason.NOT_CLUSTER),
        (Ether(dst=MASKED, src=CLIENT, type=0x0806) / b"x", Reason.OWN),
        (Ether(dst=MASKED, src=CLIENT, type=0x0800) / b"x", Reason.OWN),
        (Ether(dst=MASKED, src=CLIENT, type=0x86DD), Reason.OWN),
        (Ether(dst=MASKED, src=CLIENT, type=0x8100) / b"\0\7", Reason.OWN),
        (to(MASKED) / ip() / TCP(), Reason.OWNER),
        (to(CLIENT, VMAC) / ip() / TCP(), Reason.SOURCE_VMAC),
    ],
)
def test_in_mode_unicast_a_hosts_own_traffic_is_told_from_the_clusters(
    classic: FilterTable, frame: Packet, reason: Reason
) -> None:
    assert reason_for(classic, frame) is reason


def test_what_is_a_hosts_own_is_given_the_address_of_its_interface(classic: FilterTable) -> None:
    frame = bytes(to(MASKED) / ip("10.0.0.11") / TCP())
    kept = rewrite(classic, frame, Verdict(Reason.OWN), lease_live=True)
    assert kept == Mac.parse(VMAC).octets + frame[6:]


def test_answers_come_from_the_masked_mac(classic: FilterTable) -> None:
    for question in (bytes(to(BROADCAST) / REQUEST), bytes(probe(MASKED))):
        verdict = decide(classic, question, claim=Claim.NONE, lease_live=True)
        answer = rewrite(classic, question, verdict, lease_live=True)
        assert verdict.action is Action.ANSWER
        assert answer[:12] == Mac.parse(CLIENT).octets + Mac.parse(MASKED).octets


def test_hosts_that_do_not_mask_hear_each_other(classic: FilterTable) -> None:
    unmasked = dataclasses.replace(classic, masked_mac=classic.vmac)
    assert reason_for(unmasked, to(VMAC, VMAC) / ip() / TCP()) is Reason.OWNER


SECOND = "52:00:00:00:00:12"
THIRD = "52:00:00:00:00:13"
STATIONS = tuple(
    (HostIndex(index), Mac.parse(mac)) for index, mac in enumerate((STATION, SECOND, THIRD))
)


def relaying(
    table: FilterTable,
    receiver: HostIndex,
    owner: HostIndex,
    marks: Mark = Mark(0),  # noqa: B008
    following: int = 0,
) -> FilterTable:
    """Return a table by which a host receives for all, and another is asked after this one."""
    buckets = Buckets(bytes((owner,)) * 4096, bytes((marks | following << NEXT_SHIFT,)) * 4096)
    return dataclasses.replace(
        held(table, owner),
        buckets=(buckets,) * len(table.buckets),
        receiver=receiver,
        station_macs=STATIONS,
    )


@pytest.mark.parametrize("frame", [SYN, SEGMENT, QUERY, PING])
def test_the_receiver_keeps_its_own_and_relays_what_is_anothers(
    table: FilterTable, frame: Packet
) -> None:
    own, others = relaying(table, ONE, ONE), relaying(table, ONE, TWO)
    assert reason_for(own, frame) is Reason.OWNER
    verdict = decide(others, bytes(frame), claim=Claim.NONE, lease_live=True)
    assert (verdict.reason, verdict.relay_to) == (Reason.RELAYED, TWO)
    expected = Mac.parse(SECOND).octets + Mac.parse(STATION).octets + bytes(frame)[12:]
    assert rewrite(others, bytes(frame), verdict, lease_live=True) == expected


@pytest.mark.parametrize("frame", [SYN, SEGMENT, QUERY, FRAGMENT, to(VMAC) / REQUEST])
def test_others_wait_for_what_is_relayed(table: FilterTable, frame: Packet) -> None:
    following = relaying(table, TWO, ONE)
    assert reason_for(following, frame) is Reason.RELAY_AWAITED


def test_arp_to_the_vmac_is_answered_by_the_receiver(table: FilterTable) -> None:
    receiving = relaying(table, ONE, TWO)
    assert reason_for(receiving, to(VMAC) / REQUEST) is Reason.ARP_ANSWERED
    assert reason_for(receiving, to(BROADCAST) / REQUEST) is Reason.ARP_NOT_OWNER
    assert reason_for(relaying(table, TWO, ONE), to(BROADCAST) / REQUEST) is Reason.ARP_ANSWERED


def test_without_a_lease_nothing_is_relayed(table: FilterTable) -> None:
    others = relaying(table, ONE, TWO)
    assert reason_for(others, SYN, lease_live=False) is Reason.NOT_OWNER
    assert reason_for(others, SEGMENT, lease_live=False) is Reason.LEASE_EXPIRED
