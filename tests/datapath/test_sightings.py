# SPDX-License-Identifier: Apache-2.0
"""Frames from the VMAC on a real interface: seen where they pass, and told whose they are."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from tests.datapath.conftest import compile_witness

from wlbs.core.address import BROADCAST, Mac
from wlbs.core.cluster import TcHook, XdpMode
from wlbs.core.protocol.events import Instant
from wlbs.core.sighting import FrameKind, Sender, Sighting, Where
from wlbs.core.table import FilterTable
from wlbs.datapath.loader import Datapath
from wlbs.linux import libbpf, namespace
from wlbs.linux.clock import now
from wlbs.linux.error import NotSupportedError

VMAC = Mac.parse("02:bf:0a:00:00:01")
OTHER = Mac.parse("02:00:00:00:00:99")
LLC = bytes.fromhex("0008 aaaa03 02574c 0001") + b"hello"
SNAP = FrameKind(llc=bytes.fromhex("aaaa 02574c 0001"))
DEADLINE_S = 10.0
POLL_S = 0.01
NEVER = Instant(0)
SEED = 20261124
KIND_COUNT = 200
"""Fewer than the maps remember."""

SENDER = """\
import socket, sys
with open("/proc/self/comm", "w") as comm:
    comm.write("a-sender")
bypass, frame = int(sys.argv[2]), bytes.fromhex(sys.argv[3])
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as packet:
    packet.setsockopt(263, 20, bypass)
    packet.bind((sys.argv[1], 0))
    for _ in range(3):
        packet.send(frame)
    print(int.from_bytes(packet.getsockopt(socket.SOL_SOCKET, 57, 8), "little"))
"""
"""Sends a frame three times under a name of its own, past the guard (SOL_PACKET is 263,
PACKET_QDISC_BYPASS 20) or not, and says its socket's cookie (SO_COOKIE, 57)."""


def send(interface: str, frame: bytes, *, bypass: bool = False) -> Sender:
    """Have a process of its own send a frame three times; return who it was."""
    words = (sys.executable, "-c", SENDER, interface, str(int(bypass)), frame.hex())
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        said, _ = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0
    return Sender("a-sender", process.pid, int(said))


def wait_for(datapath: Datapath, is_there: Callable[[tuple[Sighting, ...]], bool]) -> Sighting:
    deadline = time.monotonic() + DEADLINE_S
    while not is_there(datapath.sightings()):
        assert time.monotonic() < deadline, datapath.sightings()
        threading.Event().wait(POLL_S)
    (only,) = datapath.sightings()
    return only


def seen(only: Sighting, since: int) -> Sighting:
    """Check a sighting's instants and return it without them."""
    assert since <= only.first <= only.last <= now()
    return replace(only, first=NEVER, last=NEVER)


@pytest.fixture
def datapath(pins: Path, own_everything: FilterTable) -> Datapath:
    loaded = Datapath.load(pins)
    loaded.install(own_everything)
    return loaded


@pytest.fixture(scope="session")
def on_every_way_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the witness at a tracepoint that every frame passes, by whichever way it is sent.

    A kernel without fentry has tracepoints all the same, and the program is the same but for that.
    """
    return compile_witness(tmp_path_factory.mktemp("bpf"), "tp_btf/net_dev_start_xmit")


@pytest.mark.parametrize("hook", list(TcHook))
def test_what_the_guard_masks_is_told_by_its_process_and_socket(
    datapath: Datapath, interface: tuple[int, Mac], hook: TcHook
) -> None:
    """The process has ended by the time it is asked for."""
    datapath.attach_guard(interface[0], hook)
    before = now()
    sender = send("near", BROADCAST.octets + VMAC.octets + LLC)
    assert seen(wait_for(datapath, lambda found: len(found) == 1), before) == Sighting(
        Where.DEPARTED, SNAP, BROADCAST, 3, NEVER, NEVER, sender
    )


def test_senders_kinds_and_destinations_are_told_apart(
    datapath: Datapath, interface: tuple[int, Mac]
) -> None:
    datapath.attach_guard(interface[0], TcHook.AUTO)
    arp = b"\x08\x06" + bytes(28)
    first = send("near", BROADCAST.octets + VMAC.octets + arp)
    second = send("near", BROADCAST.octets + VMAC.octets + arp)
    third = send("near", OTHER.octets + VMAC.octets + LLC[:8])
    found = [(each.sender, str(each.kind), each.destination) for each in datapath.sightings()]
    assert found == [
        (first, "ARP", BROADCAST),
        (second, "ARP", BROADCAST),
        (third, "LLC AA/AA", OTHER),
    ]


def test_a_device_s_own_frames_have_no_process(
    datapath: Datapath, interface: tuple[int, Mac]
) -> None:
    """A macvlan that is given the VMAC sends by itself, in whichever process happens to run."""
    datapath.attach_guard(interface[0], TcHook.AUTO)
    for words in (
        ("add", "link", "near", "name", "above", "address", str(VMAC), "type", "macvlan"),
        ("set", "above", "up"),
    ):
        subprocess.run(["ip", "link", *words], check=True, timeout=DEADLINE_S)
    wait_until_there(datapath)
    for each in datapath.sightings():
        assert str(each.kind) == "IPv6"
        assert each.sender is None or each.sender.process is None


def wait_until_there(datapath: Datapath) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not datapath.sightings():
        assert time.monotonic() < deadline
        threading.Event().wait(POLL_S)


@pytest.mark.parametrize("mode", list(XdpMode))
def test_what_arrives_from_the_vmac_is_remembered_by_kind_and_destination(
    datapath: Datapath, interface: tuple[int, Mac], mode: XdpMode
) -> None:
    datapath.attach_ingress(interface[0], mode, TcHook.AUTO)
    before = now()
    send("far", BROADCAST.octets + VMAC.octets + LLC)
    arrived = seen(wait_for(datapath, lambda found: sum(each.count for each in found) == 3), before)
    assert arrived == Sighting(Where.ARRIVED, SNAP, BROADCAST, 3, NEVER, NEVER)


def test_where_every_interface_has_the_vmac_masking_is_no_news(
    datapath: Datapath, own_everything: FilterTable, interface: tuple[int, Mac]
) -> None:
    datapath.install(replace(own_everything, station_mac=VMAC))
    datapath.attach_guard(interface[0], TcHook.AUTO)
    send("near", BROADCAST.octets + VMAC.octets + LLC)
    assert datapath.sightings() == ()


def test_without_news_the_very_same_is_returned(
    datapath: Datapath, interface: tuple[int, Mac]
) -> None:
    datapath.attach_guard(interface[0], TcHook.AUTO)
    frame = BROADCAST.octets + VMAC.octets + LLC
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as packet:
        packet.bind(("near", 0))
        packet.send(frame)
        (first,) = before = datapath.sightings()
        assert datapath.sightings() is before
        packet.send(frame)
        (second,) = datapath.sightings()
    assert second == replace(first, count=2, last=second.last)


def kinds(rng: Random) -> dict[Mac, tuple[bytes, FrameKind]]:
    """Draw frames from the VMAC, each to another destination, and read them by the core's law."""
    drawn = {}
    for number in range(KIND_COUNT):
        destination = Mac(b"\x02\x00\x00\x00\x00" + bytes((number,)))
        head = destination.octets + VMAC.octets
        head += rng.choice((0, 3, 8, 0x5FF, 0x600, 0x88CC, 0xFFFF)).to_bytes(2)
        saps = rng.choice((b"\xaa\xaa", b"\xaa\xaa", b"\x42\x42", b"\0\0", rng.randbytes(2)))
        frame = (
            head
            + (saps + rng.choice((b"\x03", b"\xf3")) + rng.randbytes(9))[: rng.randrange(1, 13)]
        )
        drawn[destination] = (frame, FrameKind.of(frame))
    return drawn


def read_by(datapath: Datapath, where: Where) -> dict[Mac, FrameKind]:
    return {each.destination: each.kind for each in datapath.sightings() if each.where is where}


def test_filter_and_guard_read_kinds_as_the_core_does(datapath: Datapath) -> None:
    drawn = kinds(Random(SEED))  # noqa: S311 - wanted: the same cases every time
    for program, where in (("wlbs_guard", Where.DEPARTED), ("wlbs_filter", Where.ARRIVED)):
        runner = libbpf.FrameRunner(datapath.descriptor(program))
        for frame, _ in drawn.values():
            runner.run(frame)
        assert read_by(datapath, where) == {to: kind for to, (_, kind) in drawn.items()}


def test_the_witness_reads_kinds_as_the_core_does(
    datapath: Datapath, interface: tuple[int, Mac], on_every_way_out: Path
) -> None:
    datapath.attach_witness(interface[0], on_every_way_out)
    drawn = kinds(Random(SEED))  # noqa: S311 - wanted: the same cases every time
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as packet:
        packet.bind(("near", 0))
        for frame, _ in drawn.values():
            packet.send(frame)
    assert read_by(datapath, Where.BYPASSED) == {to: kind for to, (_, kind) in drawn.items()}


def test_the_witness_tells_the_process(
    datapath: Datapath, interface: tuple[int, Mac], on_every_way_out: Path
) -> None:
    assert not datapath.has_witness()
    datapath.attach_witness(interface[0], on_every_way_out)
    assert datapath.has_witness()
    before = now()
    sender = send("near", BROADCAST.octets + VMAC.octets + LLC)
    # The socket had no cookie when it sent: nobody had asked for it.
    assert seen(wait_for(datapath, lambda found: len(found) == 1), before) == Sighting(
        Where.BYPASSED, SNAP, BROADCAST, 3, NEVER, NEVER, replace(sender, socket=None)
    )
    send("near", BROADCAST.octets + OTHER.octets + LLC)
    assert len(datapath.sightings()) == 1


@contextmanager
def elsewhere(ifindex: int) -> Iterator[None]:
    """Enter another namespace, where ``near`` has the same index."""
    name = f"wlbs-test-{os.getpid()}-2"
    namespace.create(name)
    try:
        with namespace.entered(name):
            near = ("add", "near", "index", str(ifindex), "type", "veth", "peer", "name", "far")
            for words in (near, ("set", "near", "up"), ("set", "far", "up")):
                subprocess.run(["ip", "link", *words], check=True, timeout=DEADLINE_S)
            assert socket.if_nametoindex("near") == ifindex
            yield
    finally:
        namespace.remove(name)


def test_the_same_index_in_another_namespace_is_another_interface(
    datapath: Datapath, interface: tuple[int, Mac], on_every_way_out: Path
) -> None:
    datapath.attach_witness(interface[0], on_every_way_out)
    frame = BROADCAST.octets + VMAC.octets + LLC
    with elsewhere(interface[0]):
        send("near", frame)
    send("far", frame)
    assert datapath.sightings() == ()
    send("near", frame)
    assert len(datapath.sightings()) == 1


def test_a_later_process_takes_the_witness_over(
    datapath: Datapath, interface: tuple[int, Mac], on_every_way_out: Path
) -> None:
    datapath.attach_witness(interface[0], on_every_way_out)
    datapath.close()
    send("near", BROADCAST.octets + VMAC.octets + LLC)
    later = Datapath.open(datapath.pins)
    later.attach_witness(interface[0], Path("not even looked at"))
    assert [each.where for each in later.sightings()] == [Where.BYPASSED]
    later.remove()
    assert Datapath.leftovers(later.pins) == ()


def test_detaching_ends_the_witness(
    datapath: Datapath, interface: tuple[int, Mac], on_every_way_out: Path
) -> None:
    pinned = Datapath.leftovers(datapath.pins)
    datapath.attach_witness(interface[0], on_every_way_out)
    datapath.detach(interface[0])
    assert not datapath.has_witness()
    assert Datapath.leftovers(datapath.pins) == pinned


def test_a_kernel_without_the_function_is_told_by_name(
    datapath: Datapath, interface: tuple[int, Mac], tmp_path: Path
) -> None:
    pinned = Datapath.leftovers(datapath.pins)
    without = compile_witness(tmp_path, "fentry/no_such_function")
    with pytest.raises(NotSupportedError, match=r"past the guard.*has no such function.*fentry"):
        datapath.attach_witness(interface[0], without)
    assert not datapath.has_witness()
    assert Datapath.leftovers(datapath.pins) == pinned
    datapath.attach_guard(interface[0], TcHook.AUTO)
    send("near", BROADCAST.octets + VMAC.octets + LLC)
    assert [each.where for each in datapath.sightings()] == [Where.DEPARTED]


def test_what_bypasses_the_guard_is_told_or_the_kernel_s_refusal_is(
    datapath: Datapath, interface: tuple[int, Mac]
) -> None:
    """The only one at the witness's own hook, which not every kernel lets a program have."""
    datapath.attach_guard(interface[0], TcHook.AUTO)
    frame = BROADCAST.octets + VMAC.octets + LLC
    refusal = ""
    try:
        datapath.attach_witness(interface[0])
    except NotSupportedError as error:
        refusal = error.what
    sender = send("near", frame, bypass=True)
    if refusal:
        assert "who sends past the guard cannot be told on this host" in refusal
        assert datapath.sightings() == ()
        return
    (only,) = datapath.sightings()
    assert (only.where, only.kind, only.count) == (Where.BYPASSED, SNAP, 3)
    assert only.sender == replace(sender, socket=None)
