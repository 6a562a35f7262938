# SPDX-License-Identifier: Apache-2.0
"""Whole frames out of an interface and off it again: in order, with tag, time and direction."""

import select
import socket
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from wlbs.core.address import Mac
from wlbs.linux import link
from wlbs.linux.capture import Captured, CaptureSocket
from wlbs.linux.error import LinuxError
from wlbs.linux.outlet import Outlet, PacketOutlet, device_mac
from wlbs.linux.xsk import CHUNK_COUNT, XdpOutlet

HERE = Mac.parse("02:00:00:00:00:01")
THERE = Mac.parse("02:00:00:00:00:02")
HEAD = THERE.octets + HERE.octets + b"\x88\xb5"
WAIT_MS = 5000

WAYS: dict[str, Callable[[], Outlet]] = {
    "guarded": lambda: PacketOutlet("near", past_egress=False),
    "past egress": lambda: PacketOutlet("near", past_egress=True),
    "AF_XDP": lambda: XdpOutlet("near"),
}


@pytest.fixture
def far(fresh_namespace: str) -> Iterator[CaptureSocket]:
    """Capture at the far end of a cable from ``near``."""
    del fresh_namespace
    for words in (
        "ip link add near address 02:00:00:00:00:01 type veth peer name far",
        "sysctl -qw net.ipv6.conf.near.disable_ipv6=1 net.ipv6.conf.far.disable_ipv6=1",
        "ip link set near up",
        "ip link set far up",
    ):
        subprocess.run(words.split(), check=True, capture_output=True, timeout=10)
    capture = CaptureSocket("far")
    yield capture
    capture.close()


def captured(capture: CaptureSocket, count: int) -> list[Captured]:
    poll = select.poll()
    poll.register(capture.fileno(), select.POLLIN)
    found: list[Captured] = []
    while len(found) < count:
        assert poll.poll(WAIT_MS), f"{len(found)} of {count}"
        each = capture.receive()
        found += [each] if each else []
    return found


@pytest.mark.parametrize("way", WAYS)
def test_frames_leave_as_they_are_and_in_their_order(far: CaptureSocket, way: str) -> None:
    """More than a ring holds, so that its indices wrap."""
    outlet = WAYS[way]()
    frames = [HEAD + bytes((number,)) * 46 for number in range(5 * CHUNK_COUNT)]
    before_ns = time.time_ns()
    for frame in frames:
        deadline = time.monotonic() + 5
        while not outlet.send(frame):
            assert time.monotonic() < deadline
    found = captured(far, len(frames))
    assert [each.data for each in found] == frames
    assert not any(each.is_outgoing for each in found)
    assert all(before_ns <= each.at_ns <= time.time_ns() for each in found)
    outlet.close()


@pytest.mark.parametrize("way", WAYS)
def test_a_link_that_is_down_loses_frames_and_raises_nothing(far: CaptureSocket, way: str) -> None:
    del far
    outlet = WAYS[way]()
    link.set_up("near", up=False)
    assert not outlet.send(HEAD + bytes(46))
    outlet.close()


def test_a_second_socket_on_the_queue_is_refused_with_words(far: CaptureSocket) -> None:
    del far
    first = XdpOutlet("near")
    with pytest.raises(LinuxError, match="--via packet"):
        XdpOutlet("near")
    first.close()
    XdpOutlet("near").close()


def test_what_is_too_long_for_the_ring_does_not_leave(far: CaptureSocket) -> None:
    del far
    outlet = XdpOutlet("near")
    assert not outlet.send(bytes(4000))
    outlet.close()


def test_an_interface_that_is_not_there_is_named(fresh_namespace: str) -> None:
    del fresh_namespace
    for attempt in (
        lambda: PacketOutlet("eth9", past_egress=False),
        lambda: XdpOutlet("eth9"),
        lambda: CaptureSocket("eth9"),
        lambda: device_mac("eth9"),
    ):
        with pytest.raises(LinuxError, match="eth9"):
            attempt()


def test_the_device_says_its_own_address(far: CaptureSocket) -> None:
    del far
    assert device_mac("near") == HERE


def test_a_vlan_tag_is_back_in_its_place(far: CaptureSocket) -> None:
    """The kernel takes it out before a packet socket sees the frame."""
    tagged = HEAD[:12] + bytes.fromhex("8100 2005 88b5") + bytes(46)
    service = HEAD[:12] + bytes.fromhex("88a8 0007 88b5") + bytes(46)
    outlet = PacketOutlet("near", past_egress=False)
    outlet.send(tagged)
    outlet.send(service)
    assert [each.data for each in captured(far, 2)] == [tagged, service]
    outlet.close()


def test_only_what_leaves_is_captured_where_that_was_asked_for(far: CaptureSocket) -> None:
    leaving = CaptureSocket("far", only_outgoing=True)
    outlet = PacketOutlet("far", past_egress=False)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as near:
        near.bind(("near", 0))
        near.send(HEAD + b"arrives" + bytes(40))
    outlet.send(HEAD + b"leaves" + bytes(40))
    (one,) = captured(leaving, 1)
    assert (one.data[14:20], one.is_outgoing) == (b"leaves", True)
    assert leaving.receive() is None
    assert [each.is_outgoing for each in captured(far, 2)] == [False, True]
    leaving.close()
    outlet.close()


def test_an_interface_is_promiscuous_only_while_it_is_listened_to(far: CaptureSocket) -> None:
    assert not promiscuity("far")
    far.hear_everybody()
    assert promiscuity("far")
    far.close()
    assert not promiscuity("far")


def test_what_comes_too_fast_is_counted(far: CaptureSocket) -> None:
    outlet = PacketOutlet("near", past_egress=False)
    sent = 0
    frame = HEAD + bytes(1400)
    while far.lost_count() == 0:
        assert sent < 1_000_000
        for _ in range(1000):
            sent += outlet.send(frame)
    found = 0
    while far.receive():
        found += 1
    assert found + far.lost_count() == sent
    outlet.close()


def promiscuity(name: str) -> int:
    shown = subprocess.run(
        ["ip", "-d", "-o", "link", "show", name], check=True, capture_output=True, text=True
    )
    return int(shown.stdout.split("promiscuity ")[1].split()[0])
