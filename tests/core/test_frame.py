# SPDX-License-Identifier: Apache-2.0
"""The parser against frames built by scapy, and against bytes that are no frame."""

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6ND_RS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptMTU,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
)
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet as ScapyPacket

from wlbs.core.address import IpAddress, Mac
from wlbs.core.frame import (
    Arp,
    Datagram,
    Frame,
    IcmpMessage,
    Malformed,
    Packet,
    Part,
    Segment,
    TcpFlags,
    neighbour_options,
    parse,
)

CLIENT = IpAddress.parse("192.0.2.77")
VIP = IpAddress.parse("10.0.0.1")
ETHERNET = Ether(dst="02:bf:0a:00:00:01", src="52:00:00:00:00:99")
IPV4 = IP(src="192.0.2.77", dst="10.0.0.1")


def packet_of(data: bytes) -> Packet:
    frame = parse(data)
    assert isinstance(frame, Frame)
    assert isinstance(frame.payload, Packet)
    return frame.payload


def payload_of(data: bytes) -> Arp | Packet | Malformed | None:
    frame = parse(data)
    assert isinstance(frame, Frame)
    return frame.payload


def test_the_ethernet_header_is_read() -> None:
    frame = parse(bytes(ETHERNET / b"rest"))
    assert isinstance(frame, Frame)
    assert frame.destination == Mac.parse("02:bf:0a:00:00:01")
    assert frame.source == Mac.parse("52:00:00:00:00:99")
    assert not frame.is_tagged
    assert frame.payload is None


@pytest.mark.parametrize("ethertype", [0x8100, 0x88A8])
def test_a_tagged_frame_is_not_looked_into(ethertype: int) -> None:
    frame = parse(bytes(Ether(type=ethertype) / Dot1Q(vlan=7) / IPV4 / TCP()))
    assert isinstance(frame, Frame)
    assert frame.is_tagged
    assert frame.payload is None


def test_thirteen_bytes_are_no_frame() -> None:
    assert parse(bytes(13)) == Malformed(Part.ETHERNET)


def test_an_arp_request_is_read() -> None:
    arp = ARP(op=1, hwsrc="52:00:00:00:00:99", psrc="192.0.2.77", pdst="10.0.0.1")
    assert payload_of(bytes(ETHERNET / arp)) == Arp(
        1, Mac.parse("52:00:00:00:00:99"), CLIENT, Mac(bytes(6)), VIP
    )


@pytest.mark.parametrize("arp", [ARP(hwtype=6), ARP(plen=16), bytes(ARP())[:27]])
def test_an_arp_body_that_is_not_for_ethernet_and_ipv4_is_malformed(arp: ARP | bytes) -> None:
    data = bytes(Ether(type=0x0806) / arp)
    assert payload_of(data) == Malformed(Part.ARP)


@pytest.mark.parametrize(
    ("transport", "protocol", "expected"),
    [
        (UDP(sport=40000, dport=53), 17, Datagram(40000, 53)),
        (ICMP(type=8, code=3), 1, IcmpMessage(8, 3)),
        (
            TCP(sport=40000, dport=80, seq=7, ack=9, flags="SAPU"),
            6,
            Segment(40000, 80, 7, 9, TcpFlags.SYN | TcpFlags.ACK),
        ),
    ],
)
def test_a_transport_header_is_read(
    transport: TCP | UDP | ICMP, protocol: int, expected: Segment | Datagram | IcmpMessage
) -> None:
    packet = packet_of(bytes(ETHERNET / IPV4 / transport))
    assert packet == Packet(CLIENT, VIP, protocol, transport=expected)


@pytest.mark.parametrize(
    ("flags", "bare"), [("S", True), ("SP", True), ("SA", False), ("A", False), ("R", False)]
)
def test_only_syn_without_ack_opens_a_connection(flags: str, *, bare: bool) -> None:
    segment = packet_of(bytes(ETHERNET / IPV4 / TCP(flags=flags))).transport
    assert isinstance(segment, Segment)
    assert segment.is_bare_syn is bare


def test_ip_options_move_the_transport_header() -> None:
    ip = IP(src="192.0.2.77", dst="10.0.0.1", options=[b"\x01\x01\x01\x00"])
    assert packet_of(bytes(ETHERNET / ip / UDP(sport=1, dport=2))).transport == Datagram(1, 2)


def test_padding_behind_the_total_length_is_not_the_packets() -> None:
    data = bytes(ETHERNET / IP(src="192.0.2.77", dst="10.0.0.1", proto=17, len=27) / bytes(26))
    assert packet_of(data).is_malformed


@pytest.mark.parametrize(
    ("size", "payload"), [(None, b"hello"), (8, b""), (12, b"hell"), (14, None), (7, None)]
)
def test_a_datagram_is_as_long_as_its_header_says(size: int | None, payload: bytes | None) -> None:
    udp = UDP(sport=1, dport=2, len=size)
    assert packet_of(bytes(ETHERNET / IPV4 / udp / b"hello")).transport == Datagram(1, 2, payload)


def test_a_first_fragment_is_one_with_more_to_come() -> None:
    ip = IP(src="192.0.2.77", dst="10.0.0.1", flags="MF")
    expected = Packet(CLIENT, VIP, 17, is_first_fragment=True, transport=Datagram(1, 2))
    assert packet_of(bytes(ETHERNET / ip / UDP(sport=1, dport=2))) == expected


def test_a_later_fragment_has_no_transport_header() -> None:
    data = bytes(ETHERNET / IP(src="192.0.2.77", dst="10.0.0.1", frag=3, proto=6) / bytes(64))
    assert packet_of(data) == Packet(CLIENT, VIP, 6, is_later_fragment=True)


@pytest.mark.parametrize("frag", [0, 3])
def test_the_time_to_live_is_read_of_every_packet(frag: int) -> None:
    ip = IP(src="192.0.2.77", dst="10.0.0.1", ttl=7, frag=frag)
    assert packet_of(bytes(ETHERNET / ip / UDP())).ttl == 7


VMAC = "02:bf:0a:00:00:01"
IPV6 = IPv6(src="fe80::1", dst="ff02::1")
SOURCE = ICMPv6NDOptSrcLLAddr(lladdr=VMAC)
TARGET = ICMPv6NDOptDstLLAddr(lladdr=VMAC)
EMPTY = bytes((1, 0)) + bytes(6)


@pytest.mark.parametrize(
    ("message", "places"),
    [
        (ICMPv6ND_RS() / SOURCE, (64,)),
        (ICMPv6ND_RA() / SOURCE, (72,)),
        (ICMPv6ND_NS() / SOURCE, (80,)),
        (ICMPv6ND_NA() / TARGET, (80,)),
        (ICMPv6ND_NS() / ICMPv6NDOptMTU() / SOURCE / TARGET, (88, 96)),
        (ICMPv6ND_NS() / SOURCE / SOURCE / SOURCE / SOURCE / SOURCE, (80, 88, 96, 104)),
        (ICMPv6ND_NS(), ()),
        (ICMPv6ND_NS() / SOURCE / EMPTY / SOURCE, (80,)),
        (ICMPv6ND_NS() / SOURCE / bytes(SOURCE)[:7], (80,)),
        (ICMPv6EchoRequest() / bytes(SOURCE), ()),
        (UDP() / bytes(SOURCE), ()),
    ],
)
def test_neighbour_discovery_names_hardware_addresses_in_its_options(
    message: ScapyPacket, places: tuple[int, ...]
) -> None:
    assert neighbour_options(bytes(ETHERNET / IPV6 / message)) == places


def test_what_is_not_ipv6_or_is_cut_names_none() -> None:
    solicitation = bytes(ETHERNET / IPV6 / ICMPv6ND_NS() / SOURCE)
    assert neighbour_options(solicitation[:54]) == ()
    assert neighbour_options(solicitation[:14] + b"\x45" + solicitation[15:]) == ()


def test_an_unknown_protocol_is_not_looked_into() -> None:
    data = bytes(ETHERNET / IP(src="192.0.2.77", dst="10.0.0.1", proto=47) / bytes(64))
    assert packet_of(data) == Packet(CLIENT, VIP, 47)


@pytest.mark.parametrize(
    ("protocol", "body"),
    [
        (6, bytes(TCP())[:19]),
        (6, bytes(TCP(dataofs=4))),
        (17, bytes(UDP())[:7]),
        (1, bytes(ICMP())[:7]),
    ],
)
def test_a_short_transport_header_is_malformed(protocol: int, body: bytes) -> None:
    ip = IP(src="192.0.2.77", dst="10.0.0.1", proto=protocol)
    packet = packet_of(bytes(ETHERNET / ip / body))
    assert packet == Packet(CLIENT, VIP, protocol, is_malformed=True)


@pytest.mark.parametrize(
    "body",
    [
        bytes(IPV4)[:19],
        bytes(IP(version=6)),
        bytes(IP(ihl=4)),
        bytes(IP(len=19)),
        bytes(IP(ihl=6, len=24)),
    ],
    ids=["short", "version", "header below five words", "total below header", "header cut"],
)
def test_a_header_that_cannot_be_ipv4_is_malformed(body: bytes) -> None:
    assert payload_of(bytes(Ether(type=0x0800)) + body) == Malformed(Part.IPV4)
