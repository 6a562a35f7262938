# SPDX-License-Identifier: Apache-2.0
"""Frames are what scapy builds from the same fields, and the core's parser reads them."""

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether

from wlbs.core.address import BROADCAST, NO_MAC, IpAddress, Mac
from wlbs.core.frame import ARP_ANSWER, ARP_REQUEST, EtherType, Frame, Packet, Segment, parse
from wlbs.sim.frames import (
    ACK,
    FIN,
    PSH,
    RST,
    SYN,
    Path,
    TcpSegment,
    arp_answer,
    arp_request,
    ethernet,
    ipv4,
    read_tcp,
    read_udp,
    tcp,
    udp,
)
from wlbs.sim.prng import Prng

ONE, OTHER = Mac.parse("06:00:00:00:01:01"), Mac.parse("06:00:00:00:02:01")
SERVER, CLIENT = IpAddress.parse("10.9.0.100"), IpAddress.parse("10.9.101.7")
PATH = Path(CLIENT, 40_000, SERVER, 80)


def by_scapy(transport: object, payload: bytes) -> bytes:
    """Return the frame as scapy builds it, checksums and all."""
    packet = IP(src=str(CLIENT), dst=str(SERVER), id=0, flags="DF") / transport / payload
    return bytes(Ether(src=str(ONE), dst=str(OTHER)) / packet)


def packet_of(data: bytes) -> Packet:
    frame = parse(data)
    assert isinstance(frame, Frame)
    assert isinstance(frame.payload, Packet)
    return frame.payload


@pytest.mark.parametrize("flags", [SYN, SYN | ACK, ACK, ACK | PSH, FIN | ACK, RST, RST | ACK])
def test_a_segment_is_what_scapy_builds_and_reads_back(flags: int) -> None:
    prng = Prng(flags, "segments")
    for size in (0, 1, 2, 99):
        payload = b"octets"[:size] * (size + 1)
        segment = TcpSegment(PATH, prng.word() >> 32, prng.word() >> 32, flags, payload)
        data = ethernet(OTHER, ONE, EtherType.IPV4, tcp(segment))
        transport = TCP(
            sport=40_000,
            dport=80,
            seq=segment.sequence,
            ack=segment.acknowledgement,
            flags=flags,
            window=0xFFFF,
        )
        assert data == by_scapy(transport, payload)
        assert read_tcp(data + b"\0" * 6, packet_of(data)) == segment, "padding is no payload"


def test_options_are_no_payload() -> None:
    data = by_scapy(TCP(sport=1, dport=2, flags="SA", options=[("MSS", 1460)]), b"payload")
    segment = read_tcp(data, packet_of(data))
    assert segment
    assert segment.payload == b"payload"


def test_a_datagram_is_what_scapy_builds_and_reads_back() -> None:
    data = ethernet(OTHER, ONE, EtherType.IPV4, udp(PATH, b"odd"))
    assert data == by_scapy(UDP(sport=40_000, dport=80), b"odd")
    assert read_udp(data, packet_of(data)) == (PATH, b"odd")
    assert read_tcp(data, packet_of(data)) is None


def test_what_is_neither_is_not_read_as_either() -> None:
    data = by_scapy(ICMP(), b"")
    assert read_tcp(data, packet_of(data)) is None
    assert read_udp(data, packet_of(data)) is None
    assert ethernet(OTHER, ONE, EtherType.IPV4, ipv4(CLIENT, SERVER, 47, b"x")) == bytes(
        Ether(src=str(ONE), dst=str(OTHER))
        / IP(src=str(CLIENT), dst=str(SERVER), id=0, flags="DF", proto=47)
        / b"x"
    )


def test_arp_is_what_scapy_builds() -> None:
    def by_scapy_arp(to: str, operation: int, target: str) -> bytes:
        addresses = {"hwsrc": str(ONE), "psrc": str(CLIENT), "hwdst": target, "pdst": str(SERVER)}
        body = ARP(op=operation)
        for name, value in addresses.items():
            setattr(body, name, value)
        return bytes(Ether(src=str(ONE), dst=to) / body)

    asked = ethernet(BROADCAST, ONE, EtherType.ARP, arp_request(ONE, CLIENT, SERVER))
    assert asked == by_scapy_arp(str(BROADCAST), ARP_REQUEST, str(NO_MAC))
    answered = ethernet(OTHER, ONE, EtherType.ARP, arp_answer(ONE, CLIENT, OTHER, SERVER))
    assert answered == by_scapy_arp(str(OTHER), ARP_ANSWER, str(OTHER))


def test_a_flow_has_two_views_and_a_segment_a_size() -> None:
    assert PATH.reversed == Path(SERVER, 80, CLIENT, 40_000)
    assert PATH.reversed.reversed == PATH
    sizes = [TcpSegment(PATH, 0, 0, flags, b"xy").size for flags in (ACK, SYN, FIN | ACK)]
    assert sizes == [2, 3, 3]
    assert isinstance(
        packet_of(ethernet(OTHER, ONE, EtherType.IPV4, tcp(TcpSegment(PATH, 0, 0, SYN)))).transport,
        Segment,
    )
