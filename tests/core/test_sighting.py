# SPDX-License-Identifier: Apache-2.0
"""What is said of frames from the VMAC, and how their kinds are spelled."""

import pytest

from wlbs.core.address import BROADCAST, Mac
from wlbs.core.protocol.events import Instant
from wlbs.core.sighting import (
    Bypass,
    Bypasser,
    FrameKind,
    Sender,
    Sighting,
    Where,
    describe,
    describe_bypasser,
)

HEAD = BROADCAST.octets + Mac.parse("02:bf:0a:00:00:01").octets
NOW = Instant(10_000_000_000)


@pytest.mark.parametrize(
    ("rest", "spelled"),
    [
        ("0806" + "00" * 28, "ARP"),
        ("0800", "IPv4"),
        ("86dd", "IPv6"),
        ("88cc 0207", "LLDP (0x88cc)"),
        ("8035", "RARP (0x8035)"),
        ("88b5", "0x88b5"),
        ("0600", "0x0600"),
        ("0008 aaaa03 02574c 0001 00", "LLC AA/AA SNAP 02574c:0001"),
        ("0026 424203 000000 0000", "LLC 42/42"),
        ("0003 e0e0", "LLC E0/E0"),
        ("0003 aaaa 03", "LLC AA/AA"),
        ("05ff e0", "LLC, cut short"),
        ("0003", "LLC, cut short"),
    ],
)
def test_a_kind_is_spelled_as_in_the_field(rest: str, spelled: str) -> None:
    assert str(FrameKind.of(HEAD + bytes.fromhex(rest))) == spelled


def test_no_frame_is_of_no_kind() -> None:
    assert FrameKind.of(HEAD) == FrameKind()


def test_the_control_field_makes_no_other_kind() -> None:
    kinds = {
        FrameKind.read(8, bytes.fromhex(f"aaaa{control}0000000000")) for control in ("03", "f3")
    }
    assert len(kinds) == 1


@pytest.mark.parametrize(
    ("sender", "named"),
    [
        (Sender("lldpd", 12, 34), "lldpd (process 12, socket 34)"),
        (Sender("lldpd", 12, None), "lldpd (process 12)"),
        (Sender(None, None, 34), "socket 34, whose process is not known"),
        (Sender(None, None, None), "a socket, whose process is not known"),
    ],
)
def test_a_sender_is_named_as_far_as_it_is_known(sender: Sender, named: str) -> None:
    assert str(sender) == named


def sighting(where: Where, count: int, sender: Sender | None = None) -> Sighting:
    first, last = Instant(NOW - 2_500_000_000), Instant(NOW - 100_000_000)
    return Sighting(where, FrameKind(0x88CC), BROADCAST, count, first, last, sender)


def test_what_left_is_said_with_its_sender() -> None:
    assert describe(sighting(Where.BYPASSED, 3, Sender("lldpd", 12, 34)), NOW) == (
        "3 frames of LLDP (0x88cc) to ff:ff:ff:ff:ff:ff from the cluster's MAC, sent past the "
        "guard, by lldpd (process 12, socket 34); first 2.5 s ago, last 0.1 s ago"
    )


def test_what_left_by_no_socket_is_said_to_have_none() -> None:
    said = describe(sighting(Where.DEPARTED, 1), NOW)
    assert said.endswith(
        "by no socket of this host: the kernel itself, a bridge or a virtual machine; 0.1 s ago"
    )


def test_what_arrived_has_no_sender_here() -> None:
    said = describe(sighting(Where.ARRIVED, 1), Instant(0))
    assert said.endswith("from the cluster's MAC, received; 0.0 s ago")


def test_a_bypasser_is_said_to_be_no_more() -> None:
    bypasser = Bypasser(Sender("tcpdump", 7, 8), Bypass.PACKET)
    assert describe_bypasser(bypasser) == (
        "tcpdump (process 7, socket 8) holds a packet socket with PACKET_QDISC_BYPASS, so it can "
        "send past the guard"
    )
