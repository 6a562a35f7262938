# SPDX-License-Identifier: Apache-2.0
"""The tap sees each frame as it arrived and what the filter made of it, while somebody holds it."""

import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from wlbs.core.address import Mac
from wlbs.core.cluster import TcHook, XdpMode
from wlbs.core.protocol.events import Instant
from wlbs.core.reason import Reason
from wlbs.core.table import FilterTable
from wlbs.datapath import tap as tap_module
from wlbs.datapath.loader import Datapath
from wlbs.datapath.tap import HOLD_NS, TAP, TAPPED, Tap, Tapped
from wlbs.linux import libbpf
from wlbs.linux.clock import now
from wlbs.linux.error import LinuxError
from wlbs.linux.lock import LockedError
from wlbs.linux.program import xdp_program

VMAC = Mac.parse("02:bf:0a:00:00:01")
CLIENT = Mac.parse("02:00:00:00:00:99")
WAIT_MS = 5000
LEASE_NS = 60_000_000_000
XDP_DROP, XDP_PASS, XDP_TX = 1, 2, 3

UDP = bytes.fromhex("4500001e000000004011666c0a0000630a000001 00090007000a0000") + b"hi"
TO_VIP = VMAC.octets + CLIENT.octets + b"\x08\x00" + UDP
NOT_SERVED = VMAC.octets + CLIENT.octets + b"\x86\xdd" + bytes(60)
NOT_CLUSTER = bytes.fromhex("020000000077") + CLIENT.octets + b"\x88\xb5" + bytes(46)
ARP = (
    bytes.fromhex("ffffffffffff")
    + CLIENT.octets
    + bytes.fromhex("0806 0001080006040001")
    + CLIENT.octets
    + bytes.fromhex("0a000063 000000000000 0a000001")
)


@pytest.fixture
def datapath(pins: Path, own_everything: FilterTable) -> Datapath:
    loaded = Datapath.load(pins)
    loaded.install(own_everything)
    loaded.hold_lease(Instant(now() + LEASE_NS))
    return loaded


@pytest.fixture
def tap(datapath: Datapath) -> Iterator[Tap]:
    opened = Tap(datapath.pins)
    yield opened
    opened.close()


def run(datapath: Datapath, frame: bytes, repeat: int = 1) -> tuple[int, bytes, int]:
    runner = libbpf.FrameRunner(datapath.descriptor("wlbs_filter"), size_max=4096)
    return runner.run(frame, repeat)


def seen(tap: Tap, count: int) -> list[Tapped]:
    """Return so many frames of the client's, waiting for them."""
    found: list[Tapped] = []
    poll = select.poll()
    poll.register(tap.fileno(), select.POLLIN)
    while len(found) < count:
        assert poll.poll(WAIT_MS), f"{len(found)} frames of {count}"
        found += [each for each in tap.read() if each.data[6:12] == CLIENT.octets]
    return found


def is_open(datapath: Datapath) -> bool:
    """Whether a frame makes the ring longer, by the only reader of the pinned variable."""
    descriptor = libbpf.open_pinned(datapath.pins / "tap")
    value = libbpf.lookup(descriptor, bytes(4), TAP.size)
    assert value is not None
    return bool(TAP.unpack(value)[0])


@pytest.mark.parametrize(
    ("frame", "reason", "action"),
    [
        pytest.param(TO_VIP, Reason.OWNER, XDP_PASS, id="keep"),
        pytest.param(NOT_SERVED, Reason.ETHERTYPE, XDP_DROP, id="drop"),
        pytest.param(NOT_CLUSTER, Reason.NOT_CLUSTER, XDP_PASS, id="pass"),
        pytest.param(ARP, Reason.ARP_ANSWERED, XDP_TX, id="answer"),
    ],
)
def test_a_frame_is_seen_as_it_arrived_beside_what_became_of_it(
    datapath: Datapath, tap: Tap, frame: bytes, reason: Reason, action: int
) -> None:
    before = now()
    result, out, _ = run(datapath, frame)
    (tapped,) = seen(tap, 1)
    assert (tapped.data, tapped.length) == (frame, len(frame))
    assert (tapped.reason, tapped.xdp_action) == (reason, action)
    assert result == action
    assert before <= tapped.at_ns <= now()
    assert (out != frame) == (reason in {Reason.OWNER, Reason.ARP_ANSWERED})


@pytest.mark.parametrize("mode", list(XdpMode))
def test_frames_of_a_real_interface_are_seen_in_both_modes(
    datapath: Datapath, tap: Tap, interface: tuple[int, Mac], mode: XdpMode
) -> None:
    datapath.attach_ingress(interface[0], mode, TcHook.AUTO)
    assert xdp_program(interface[0]) == tap.program_id
    frames = [NOT_SERVED + bytes(1400), NOT_CLUSTER]
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as packet_socket:
        packet_socket.bind(("far", 0))
        for frame in frames:
            packet_socket.send(frame)
    found = seen(tap, 2)
    assert [each.data for each in found] == frames
    assert [each.reason for each in found] == [Reason.ETHERTYPE, Reason.NOT_CLUSTER]
    assert {each.interface_index for each in found} == {interface[0]}
    assert tap.lost_count() == 0


def test_a_frame_longer_than_the_copy_is_cut_and_says_so(datapath: Datapath, tap: Tap) -> None:
    """A test run gives a program a frame of several buffers, as a driver does with a large MTU."""
    frame = NOT_CLUSTER + bytes(8000)
    runner = libbpf.FrameRunner(datapath.descriptor("wlbs_filter"), size_max=9000)
    runner.run(frame)
    (tapped,) = seen(tap, 1)
    assert (tapped.data, tapped.length) == (frame[: tap_module.SNAP_SIZE], len(frame))


def test_what_does_not_fit_the_ring_is_counted(datapath: Datapath, tap: Tap) -> None:
    total = 2000
    run(datapath, NOT_CLUSTER + bytes(1400), repeat=total)
    lost = tap.lost_count()
    assert 0 < lost < total
    assert len(seen(tap, total - lost)) == total - lost
    assert tap.read() == []
    run(datapath, NOT_CLUSTER)
    assert len(seen(tap, 1)) == 1


def test_closing_ends_it_and_leaves_what_was_there(datapath: Datapath) -> None:
    pinned = Datapath.leftovers(datapath.pins)
    tap = Tap(datapath.pins)
    assert is_open(datapath)
    tap.close()
    assert not is_open(datapath)
    assert Datapath.leftovers(datapath.pins) == pinned
    assert run(datapath, NOT_SERVED)[0] == XDP_DROP


def test_a_reader_who_is_gone_leaves_it_closed_and_the_next_sees_nothing_old(
    datapath: Datapath,
) -> None:
    """A reader that is killed says nothing; the tap's own clock ends it."""
    tap = Tap(datapath.pins)
    deadline = time.monotonic() + 2 * HOLD_NS / 1e9
    frames = 1
    while frames:
        assert time.monotonic() < deadline, "it is open long after anybody held it"
        run(datapath, NOT_SERVED)
        frames = len(tap.read())
    tap.hold()
    run(datapath, NOT_SERVED)
    tap.close()
    later = Tap(datapath.pins)
    run(datapath, ARP)
    assert [each.reason for each in seen(later, 1)] == [Reason.ARP_ANSWERED]
    later.close()


def test_a_second_reader_is_told_who_the_first_is(datapath: Datapath, tap: Tap) -> None:
    del tap
    with pytest.raises(LockedError, match=r"the tap of instance wlbs-test.*in use"):
        Tap(datapath.pins)


def test_where_nothing_is_pinned_the_error_says_what_to_do(pins: Path) -> None:
    with pytest.raises(LinuxError, match="start the agent"):
        Tap(pins)


def test_a_reason_of_a_newer_filter_is_no_error() -> None:
    record = TAPPED.pack(1, 2, 60, 4, 255, 1) + b"data" + b"more"
    assert tap_module.decode(record) == Tapped(1, 2, 60, b"data", None, 1)
