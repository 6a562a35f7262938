# SPDX-License-Identifier: Apache-2.0
"""Programs on a real interface: attached, at work, and gone without a trace."""

import socket
import struct
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from wlbs.core.address import IpAddress, Mac
from wlbs.core.buckets import BUCKET_COUNT
from wlbs.core.cluster import TcHook, XdpMode
from wlbs.core.protocol.events import Instant
from wlbs.core.reason import Reason
from wlbs.core.rules import DEFAULT_RULE, HostIndex, PortRule, RuleIndex
from wlbs.core.table import Buckets, FilterTable, Mark
from wlbs.datapath.loader import Datapath
from wlbs.linux import libbpf
from wlbs.linux.clock import now
from wlbs.linux.error import LinuxError

VMAC = Mac.parse("02:bf:0a:00:00:01")
CLIENT = Mac.parse("02:00:00:00:00:99")
WAIT_S = 5.0
LEASE_NS = 60_000_000_000


def shell(*words: str) -> str:
    done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=10)
    return done.stdout


def send(interface: str, frame: bytes) -> None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as packet_socket:
        packet_socket.bind((interface, 0))
        packet_socket.send(frame)


def wait_for(datapath: Datapath, reason: Reason) -> None:
    deadline = time.monotonic() + WAIT_S
    while datapath.counters()[reason] == 0:
        assert time.monotonic() < deadline, f"no {reason.name} within {WAIT_S} s"


@pytest.fixture
def datapath(pins: Path, own_everything: FilterTable) -> Datapath:
    loaded = Datapath.load(pins)
    loaded.install(own_everything)
    return loaded


@pytest.mark.parametrize("hook", list(TcHook))
@pytest.mark.parametrize("mode", list(XdpMode))
def test_frames_are_counted_and_detaching_leaves_nothing(
    datapath: Datapath, interface: tuple[int, Mac], mode: XdpMode, hook: TcHook
) -> None:
    ifindex = interface[0]
    pinned = Datapath.leftovers(datapath.pins)
    datapath.attach_guard(ifindex, hook)
    datapath.attach_ingress(ifindex, mode, hook)
    datapath.attach_ingress(ifindex, mode, hook)  # a second time changes nothing
    ipv6 = b"\x86\xdd" + bytes(60)
    send("far", VMAC.octets + CLIENT.octets + ipv6)
    wait_for(datapath, Reason.ETHERTYPE)
    send("near", CLIENT.octets + VMAC.octets + ipv6)
    wait_for(datapath, Reason.GUARD_MASKED)
    datapath.detach(ifindex)
    datapath.detach(ifindex)
    assert Datapath.leftovers(datapath.pins) == pinned
    assert "prog/xdp" not in shell("ip", "-d", "link", "show", "near")
    assert "clsact" not in shell("tc", "qdisc", "show", "dev", "near")
    before = datapath.counters()
    send("near", CLIENT.octets + VMAC.octets + ipv6)
    assert datapath.counters() == before


def test_a_kept_frame_reaches_the_stack(datapath: Datapath, interface: tuple[int, Mac]) -> None:
    shell("ip", "link", "set", "lo", "up")
    shell("ip", "addr", "add", "10.0.0.1/32", "dev", "lo", "scope", "host")
    shell("ip", "addr", "add", "10.0.0.11/24", "dev", "near")
    datapath.attach_ingress(interface[0], XdpMode.NATIVE, TcHook.AUTO)
    datapath.hold_lease(Instant(now() + LEASE_NS))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("10.0.0.1", 7))
        server.settimeout(WAIT_S)
        # IPv4 from 10.0.0.99, port 9 to port 7, with its header checksum; UDP without one.
        header = bytes.fromhex("4500001e000000004011666c0a0000630a000001")
        datagram = bytes.fromhex("00090007000a0000") + b"hi"
        send("far", VMAC.octets + CLIENT.octets + b"\x08\x00" + header + datagram)
        assert server.recvfrom(16) == (b"hi", ("10.0.0.99", 9))
    assert datapath.counters()[Reason.OWNER] == 1


def test_a_foreign_xdp_program_is_named_and_left_alone(
    datapath: Datapath, pins: Path, interface: tuple[int, Mac]
) -> None:
    other = Datapath.load(pins.with_name(f"{pins.name}-other"))
    try:
        other.attach_ingress(interface[0], XdpMode.GENERIC, TcHook.AUTO)
        with pytest.raises(LinuxError, match=r"wlbs_filter.*ip link set dev near xdp off"):
            datapath.attach_ingress(interface[0], XdpMode.NATIVE, TcHook.AUTO)
    finally:
        other.remove()


def test_the_discipline_of_somebody_else_stays(
    datapath: Datapath, interface: tuple[int, Mac]
) -> None:
    shell("tc", "qdisc", "add", "dev", "near", "clsact")
    datapath.attach_guard(interface[0], TcHook.CLSACT)
    datapath.detach(interface[0])
    assert "clsact" in shell("tc", "qdisc", "show", "dev", "near")
    assert "bpf" not in shell("tc", "filter", "show", "dev", "near", "egress")


def test_a_later_process_takes_over_what_is_pinned(
    datapath: Datapath, interface: tuple[int, Mac]
) -> None:
    datapath.attach_ingress(interface[0], XdpMode.NATIVE, TcHook.CLSACT)
    datapath.close()
    later = Datapath.open(datapath.pins)
    send("far", VMAC.octets + CLIENT.octets + b"\x86\xdd" + bytes(60))
    wait_for(later, Reason.ETHERTYPE)
    later.remove()
    assert Datapath.leftovers(later.pins) == ()


def test_the_installed_table_is_read_back_as_it_was_put(
    datapath: Datapath, own_everything: FilterTable
) -> None:
    """Whoever looks from outside sees owners, marks and whose table it is."""
    owners = bytes(index % 3 for index in range(BUCKET_COUNT))
    marks = bytes(index % 4 for index in range(BUCKET_COUNT))
    table = replace(
        own_everything,
        own=HostIndex(2),
        is_stopped=True,
        rules=(PortRule(80, 80),),
        buckets=(Buckets(owners, marks), Buckets(bytes(BUCKET_COUNT))),
    )
    datapath.install(table)
    installed = datapath.installed()
    assert installed is not None
    assert (installed.own, installed.is_stopped) == (2, True)
    assert installed.buckets(RuleIndex(0)) == table.buckets[0]
    assert installed.buckets(DEFAULT_RULE) == table.buckets[1]


def test_before_the_first_table_there_is_none(pins: Path) -> None:
    datapath = Datapath.load(pins)
    assert datapath.installed() is None


def test_opening_what_is_not_there_says_what_to_do(pins: Path) -> None:
    with pytest.raises(LinuxError, match="start the agent"):
        Datapath.open(pins)


def segment(client: tuple[str, int], server_port: int, flags: int) -> bytes:
    """Return a TCP segment from a client to the virtual IP."""
    source, port = IpAddress.parse(client[0]).v4, client[1]
    ip = struct.pack("!BBHHHBBHII", 0x45, 0, 40, 0, 0, 64, 6, 0, source, 0x0A000001)
    tcp = struct.pack("!HHIIBBHHH", port, server_port, 1, 1, 5 << 4, flags, 1024, 0, 0)
    return VMAC.octets + CLIENT.octets + b"\x08\x00" + ip + tcp


def test_a_cookie_of_this_host_is_known_again(
    datapath: Datapath, own_everything: FilterTable, interface: tuple[int, Mac]
) -> None:
    shell("ip", "link", "set", "lo", "up")
    shell("ip", "addr", "add", "10.0.0.1/32", "dev", "lo", "scope", "host")
    shell("ip", "addr", "add", "10.0.0.11/24", "dev", "near")
    shell("ip", "neigh", "add", "10.0.0.99", "lladdr", str(CLIENT), "dev", "near")
    shell("sysctl", "-qw", "net.ipv4.tcp_syncookies=2")  # always, not only in need
    datapath.attach_ingress(interface[0], XdpMode.NATIVE, TcHook.AUTO)
    datapath.hold_lease(Instant(now() + LEASE_NS))
    client = ("10.0.0.99", 40000)
    with (
        socket.create_server(("10.0.0.1", 80)),
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800)) as far,
    ):
        far.bind(("far", 0x0800))
        far.settimeout(WAIT_S)
        far.send(with_checksums(segment(client, 80, 0x02)))
        answer = far.recv(2048)
        while answer[34:36] != (80).to_bytes(2, "big"):
            answer = far.recv(2048)
        cookie = int.from_bytes(answer[38:42], "big")
        flagged = Buckets(bytes(BUCKET_COUNT), bytes((Mark.FLAGGED,)) * BUCKET_COUNT)
        datapath.install(replace(own_everything, buckets=(flagged,)))
        runner = libbpf.FrameRunner(datapath.descriptor("wlbs_filter"))
        # A cookie's lowest bits choose the segment size; one that is far off chooses none.
        forged = cookie + 100_000
        for acknowledged, reason in ((cookie + 1, Reason.COOKIE), (forged, Reason.UNCLAIMED)):
            frame = bytearray(segment(client, 80, 0x10))
            frame[38:46] = struct.pack("!II", 2, acknowledged & 0xFFFFFFFF)
            runner.run(bytes(frame))
            assert datapath.counters()[reason] == 1


def with_checksums(frame: bytes) -> bytes:
    """Return the TCP frame with the checksums of its IPv4 and TCP headers filled in."""
    ip, tcp = bytearray(frame[14:34]), bytearray(frame[34:])
    ip[10:12] = checksum(bytes(ip))
    tcp[16:18] = checksum(bytes(ip[12:20]) + struct.pack("!HH", 6, len(tcp)) + bytes(tcp))
    return frame[:14] + bytes(ip) + bytes(tcp)


def checksum(data: bytes) -> bytes:
    """Return the Internet checksum (RFC 1071) of an even number of octets."""
    words: list[int] = [word for (word,) in struct.iter_unpack("!H", data)]
    total = sum(words)
    total = (total & 0xFFFF) + (total >> 16)
    return (~(total + (total >> 16)) & 0xFFFF).to_bytes(2, "big")
