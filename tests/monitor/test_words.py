# SPDX-License-Identifier: Apache-2.0
"""Each kind of frame has its line, and no bytes are too odd for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, LLC, Dot1Q, Dot3, Ether

from wlbs.core.address import Mac
from wlbs.core.announcement import Announcement, Bound, Query, encode
from wlbs.monitor.words import addresses, describe

HERE = Mac.parse("02:00:00:00:00:01")
ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
PACKET = ETHER / IP(src="10.0.0.9", dst="10.0.0.1")


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (PACKET / TCP(sport=9, dport=80, flags="SA"), "TCP 10.0.0.9:9 > 10.0.0.1:80 SYN,ACK"),
        (PACKET / TCP(sport=9, dport=80, flags="F"), "TCP 10.0.0.9:9 > 10.0.0.1:80"),
        (PACKET / UDP(sport=9, dport=53), "UDP 10.0.0.9:9 > 10.0.0.1:53"),
        (PACKET / ICMP(type=8), "ICMP 10.0.0.9 > 10.0.0.1 type 8 code 0"),
        (ETHER / IP(src="10.0.0.9", dst="10.0.0.1", frag=3), "later fragment"),
        (ETHER / IP(src="10.0.0.9", dst="10.0.0.1", proto=47), "protocol 47"),
        (ETHER / IP(src="10.0.0.9", dst="10.0.0.1", proto=6), "TCP, malformed"),
        (ETHER / IP(version=7), "malformed IPV4"),
        (ETHER / ARP(pdst="10.0.0.1", psrc="10.0.0.9"), "ARP who has 10.0.0.1? tell 10.0.0.9"),
        (ETHER / ARP(op=2, psrc="10.0.0.1", hwsrc="02:00:00:00:00:01"), "ARP 10.0.0.1 is at 02:00"),
        (ETHER / Dot1Q(vlan=5), "802.1Q tag"),
        (Ether(type=0x86DD) / bytes(40), "IPv6"),
        (Ether(type=0x886F) / bytes(40), "heartbeat"),
        (Ether(type=0x88B5) / bytes(40), "ethertype 0x88b5"),
        (Dot3(src="02:00:00:00:00:01") / LLC() / bytes(40), "802.3 with LLC, 43 octets"),
        (encode(Query(), HERE), "query: who is capturing?"),
        (
            encode(Announcement("h2", "eva", HERE, Bound.BELOW, 0), HERE),
            "announcement: eva@h2 captures on 02:00:00:00:00:01, bound below",
        ),
        (b"short", "too short for a frame"),
    ],
)
def test_each_kind_of_frame_has_its_line(frame: object, words: str) -> None:
    assert words in describe(bytes(frame))  # type: ignore[call-overload] # scapy has no types


@given(data=st.binary(max_size=80))
def test_no_bytes_are_too_odd(data: bytes) -> None:
    for each in (data, bytes(12) + b"\x08\x00" + data, bytes(12) + b"\x08\x06" + data):
        assert "\n" not in describe(each)


def test_the_addresses_are_those_of_the_frame() -> None:
    assert addresses(bytes(ETHER)) == (HERE, Mac.parse("02:00:00:00:00:02"))
    assert addresses(b"short") is None
