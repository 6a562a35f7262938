# SPDX-License-Identifier: Apache-2.0
"""A cluster host in classic mode and the wire it is on: a namespace of its own for each test.

``near`` is the host's interface, with the VMAC as its own address, filter and guard on it; ``far``
is the other end of its cable, where a switch would be. Knows how a monitor is run.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from wlbs.core.address import IpAddress, Mac
from wlbs.core.buckets import BUCKET_COUNT, HashKey
from wlbs.core.cluster import TcHook, XdpMode
from wlbs.core.protocol.events import Instant
from wlbs.core.reason import Reason
from wlbs.core.rules import HostIndex
from wlbs.core.table import Buckets, FilterTable, Vip
from wlbs.datapath.loader import Datapath
from wlbs.linux import bpffs, link, namespace
from wlbs.linux.clock import now
from wlbs.linux.instance import RUN_DIRECTORY, Instance

VMAC: Final = Mac.parse("02:bf:0a:00:00:01")
MASKED: Final = Mac.parse("02:01:0a:00:00:01")
CLIENT: Final = Mac.parse("02:00:00:00:00:99")
DEADLINE_S: Final = 15.0
POLL_S: Final = 0.01
LEASE_NS: Final = 600_000_000_000

UDP = bytes.fromhex("4500001e000000004011666c0a0000630a000001 00090007000a0000") + b"hi"
KEPT = VMAC.octets + CLIENT.octets + b"\x08\x00" + UDP
DROPPED = VMAC.octets + CLIENT.octets + b"\x86\xdd" + bytes(60)
PASSED = bytes.fromhex("020000000077") + CLIENT.octets + b"\x88\xb5" + bytes(46)
ANSWERED = (
    bytes.fromhex("ffffffffffff")
    + CLIENT.octets
    + bytes.fromhex("0806 0001080006040001")
    + CLIENT.octets
    + bytes.fromhex("0a000063 000000000000 0a000001")
)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"timed out: {what}"
        threading.Event().wait(POLL_S)


@dataclass
class Running:
    """One `wlbs monitor`, its words in files."""

    process: subprocess.Popen[str]
    out: Path
    err: Path

    def is_ready(self) -> bool:
        """Whether it misses nothing any more."""
        return "capturing on" in self.err.read_text()

    def frames(self) -> list[dict[str, Any]]:
        """Return the client's frames that it has shown (--json)."""
        lines = (json.loads(line) for line in self.out.read_text().splitlines(keepends=True))
        return [each for each in lines if each.get("source") == str(CLIENT)]

    def end(self, number: signal.Signals = signal.SIGTERM) -> str:
        """End it and return its last line."""
        self.process.send_signal(number)
        assert self.process.wait(DEADLINE_S) == 0, self.err.read_text()
        return (self.out.read_text() + self.err.read_text()).splitlines()[-1]


@dataclass
class Site:
    """The host, its wire, and the monitors that run there."""

    name: str
    folder: Path
    datapath: Datapath
    started: list[Running] = field(default_factory=list)

    def command(self, *words: str) -> list[str]:
        """Return the command line of a monitor here."""
        return [sys.executable, "-m", "wlbs", "monitor", *words, "--instance", self.name]

    def run(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run one to its end."""
        return subprocess.run(
            self.command(*words),
            input=given,
            check=False,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
        )

    def monitor(self, *words: str) -> Running:
        """Start one and return when it misses nothing any more."""
        out, err = (self.folder / f"{len(self.started)}.{each}" for each in ("out", "err"))
        with out.open("w") as to_out, err.open("w") as to_err:
            process = subprocess.Popen(
                self.command(*words), stdout=to_out, stderr=to_err, text=True
            )
        running = Running(process, out, err)
        self.started.append(running)
        wait_until(lambda: running.is_ready() or process.poll() is not None, "ready")
        assert process.poll() is None, err.read_text()
        return running

    def send(self, *frames: bytes, interface: str = "far") -> None:
        """Send frames from one end of the cable."""
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as packet_socket:
            packet_socket.bind((interface, 0))
            for frame in frames:
                packet_socket.send(frame)

    def count(self, reason: Reason) -> int:
        """Return how many frames a reason has had."""
        return self.datapath.counters()[reason]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Yield a host in classic mode; nothing of it is left behind."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    name = f"wlbs-test-{os.getpid()}"
    bpffs.ensure_mounted()
    namespace.create(name)
    try:
        with namespace.entered(name):
            _build_wire()
            loaded = Datapath.load(Instance(name).pins)
            index = link.find("near").index
            loaded.install(_own_everything())
            loaded.hold_lease(Instant(now() + LEASE_NS))
            loaded.attach_guard(index, TcHook.AUTO)
            loaded.attach_ingress(index, XdpMode.NATIVE, TcHook.AUTO)
            built = Site(name, tmp_path, loaded)
            try:
                yield built
            finally:
                for each in built.started:
                    each.process.kill()
                    each.process.wait()
                # Who is killed holds no lock any more, but leaves its file.
                (RUN_DIRECTORY / "locks" / f"tap-{name}").unlink(missing_ok=True)
                loaded.remove()
    finally:
        namespace.remove(name)
    assert Datapath.leftovers(Instance(name).pins) == ()


@pytest.fixture
def wire(site: Site) -> Iterator[socket.socket]:
    """Yield a socket that hears what comes out of the far end of the cable."""
    del site
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as heard:
        heard.bind(("far", 3))
        heard.settimeout(DEADLINE_S)
        yield heard


def _build_wire() -> None:
    for words in (
        "ip link add near address 02:bf:0a:00:00:01 type veth peer name far",
        "sysctl -qw net.ipv6.conf.near.disable_ipv6=1 net.ipv6.conf.far.disable_ipv6=1",
        "ip link set near up",
        "ip link set far up",
        "ip link set lo up",
    ):
        subprocess.run(words.split(), check=True, capture_output=True, timeout=10)


def _own_everything() -> FilterTable:
    return FilterTable(
        own=HostIndex(0),
        vmac=VMAC,
        station_mac=VMAC,
        masked_mac=MASKED,
        key=HashKey(bytes(range(16))),
        vips=(Vip(IpAddress.parse("10.0.0.1"), HostIndex(0)),),
        rules=(),
        buckets=(Buckets(bytes(BUCKET_COUNT)),),
    )
