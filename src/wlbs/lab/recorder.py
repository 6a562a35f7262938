# SPDX-License-Identifier: Apache-2.0
"""Records what happens in a lab from outside: captures, the switches' tables, neighbour tables.

Knows Debian's tcpdump, ``bridge monitor`` and ``ip monitor``, and how their output reads. Knows
nothing of what should be in it.
"""

import os
import re
import signal
import subprocess
import time
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

from wlbs.core.address import IpAddress, Mac
from wlbs.core.pcap import read_capture
from wlbs.lab.command import inside, run
from wlbs.lab.leak import send
from wlbs.lab.names import BRIDGE, NODE_INTERFACE, LabNames
from wlbs.lab.wait import wait_until
from wlbs.linux import namespace
from wlbs.scenario.evidence import BridgeEntry, Direction, NeighbourEntry, SeenFrame
from wlbs.scenario.forwarding import TableHistory
from wlbs.scenario.leaking import EXPERIMENTAL
from wlbs.scenario.topology import Node, Topology

SNAP_SIZE: Final = 128
"""Ethernet, IPv4 and TCP headers with all options are 134 bytes at most; ours stay below 80."""

LAST_WORDS: Final = b"wlbs lab: the last frame of a recording"

_KEPT: Final = "kept"
"""In a file's name where the others have a direction."""

TAIL_SIZE: Final = 1 << 16
"""Where the last frame is looked for: heartbeats behind it fill this in half a minute."""

_STAMPED: Final = re.compile(r"^\[([^\]]+)\] (.*)$")
_STAMP: Final = re.compile(r"^Timestamp: (.+) (\d+) usec$")
"""How ip(8) with ``-ts`` and bridge(8), which has only ``-timestamp``, say when."""
_LOST: Final = re.compile(r"(\d+) packets? dropped")
_MAC: Final = re.compile(r"^(Deleted )?([0-9a-f]{2}(?::[0-9a-f]{2}){5}) dev (\S+)(.*)")
_NOT_LEARNED: Final = ("permanent", "self", "static")
"""What stands in entries of a port's own addresses, of those it is to hear, and of a person's."""
_TRIAL: Final = Mac.parse("06:00:00:00:04:00")
"""An address that nobody has: put into a table and taken out, to see whether that is recorded."""
_NEIGHBOUR: Final = re.compile(r"^(\S+) dev \S+ lladdr (\S+)")


def switch_table(names: LabNames, switch: str) -> tuple[tuple[Mac, str], ...]:
    """Return the addresses a switch holds now, each with its port; its own are left out."""
    words = inside(names.namespace(switch), "bridge", "fdb", "show", "br", BRIDGE)
    changes = [change for line in run(words).splitlines() if (change := _table_change(line))]
    return tuple((mac, port) for mac, port, _ in changes)


def _table_change(line: str) -> tuple[Mac, str, bool] | None:
    """Return the address, its port, and whether it is there now; None for other lines."""
    entry = _MAC.match(line)
    if not entry or any(word in entry[4] for word in _NOT_LEARNED):
        return None
    return Mac.parse(entry[2]), entry[3], not entry[1]


def _is_complete(capture: Path) -> bool:
    with capture.open("rb") as file:
        file.seek(max(0, capture.stat().st_size - TAIL_SIZE))
        return LAST_WORDS in file.read()


class Recorder:
    """Everything that records in one lab, from `start` to `stop`."""

    def __init__(self, names: LabNames, topology: Topology) -> None:
        """Know where to record; nothing is started yet."""
        self._names = names
        self._topology = topology
        self._folder = names.state / "record"
        self._running: list[subprocess.Popen[bytes]] = []
        self.origin_s = 0.0
        """From when all times are counted (UNIX time)."""
        self.lost_count = 0

    def start(self) -> None:
        """Start every recorder and return when all of them see."""
        self._folder.mkdir()
        for node in self._topology.nodes:
            for direction in Direction:
                self._capture(node, direction)
        for host in self._topology.hosts:
            self._capture_kept(host.name)
        for switch in self._topology.switches:
            self._watch(switch, ("bridge", "-timestamp", "monitor", "fdb"))
        for client in self._topology.clients:
            self._watch(client.name, ("ip", "-ts", "monitor", "neigh"))
        for node in self._topology.nodes:
            for direction in Direction:
                self._wait_listening(self._path(node.name, direction, "log"))
        for host in self._topology.hosts:
            self._wait_listening(self._path(host.name, _KEPT, "log"))
        for switch in self._topology.switches:
            wait_until(partial(self._hears_of, switch), f"the table of {switch} to be recorded")

    def stop(self) -> None:
        """Let the captures catch up, then end every recorder.

        Every node sends one last frame: a capture that has it has all that came before.
        """
        for node in self._topology.nodes:
            with namespace.entered(self._names.namespace(node.name)):
                send(NODE_INTERFACE, node.mac, LAST_WORDS)
        for path in sorted(self._folder.glob("*.pcap")):
            wait_until(partial(_is_complete, path), f"capture {path.stem} to catch up")
        self.end()
        for log in sorted(self._folder.glob("*.log")):
            self.lost_count += sum(int(count) for count in _LOST.findall(log.read_text()))

    def end(self) -> None:
        """End every recorder at once."""
        for process in self._running:
            # The whole session, because nsenter has become the program or is its parent.
            os.killpg(process.pid, signal.SIGTERM)
        for process in self._running:
            process.wait(timeout=5)
        self._running = []

    def frames(self) -> tuple[SeenFrame, ...]:
        """Return all captured frames in the order of their time."""
        found = []
        for node in self._topology.nodes:
            for direction in Direction:
                path = self._path(node.name, direction, "pcap")
                found += self._frames(path, node.name, direction)
        return tuple(sorted(found, key=lambda each: each.at_s))

    def kept(self) -> tuple[SeenFrame, ...]:
        """Return what hosts' filters handed to their stacks for the virtual IP."""
        found = []
        for host in self._topology.hosts:
            path = self._path(host.name, _KEPT, "pcap")
            frames = self._frames(path, host.name, Direction.TO_NODE)
            found += [each for each in frames if LAST_WORDS not in each.data]
        return tuple(sorted(found, key=lambda each: each.at_s))

    def bridge_entries(self) -> tuple[BridgeEntry, ...]:
        """Return every entry the switches ever held, those they hold now included."""
        history = TableHistory()
        for switch in self._topology.switches:
            for at_s, words in self._lines(switch):
                change = _table_change(words)
                if change is None:
                    continue
                mac, port, is_there = change
                if is_there:
                    history.learn(at_s, switch, mac, port)
                else:
                    history.forget(at_s, switch, mac)
            now = time.time() - self.origin_s
            for mac, port in switch_table(self._names, switch):
                history.learn(now, switch, mac, port)
        return history.entries()

    def neighbours(self) -> tuple[NeighbourEntry, ...]:
        """Return every neighbour entry with a hardware address the clients had."""
        return tuple(
            NeighbourEntry(at_s, client.name, IpAddress.parse(entry[1]), Mac.parse(entry[2]))
            for client in self._topology.clients
            for at_s, words in self._lines(client.name)
            if (entry := _NEIGHBOUR.match(words))
        )

    def _wait_listening(self, log: Path) -> None:
        wait_until(lambda: "listening on" in log.read_text(), f"tcpdump ({log.stem})")

    def _hears_of(self, switch: str) -> bool:
        """Change a switch's table, and tell whether that was recorded."""
        port = self._topology.ports(switch)[0]
        for word in ("add", "del"):
            words = f"bridge fdb {word} {_TRIAL} dev {port} master static"
            run(inside(self._names.namespace(switch), *words.split()))
        return bool(self._lines(switch))

    def _capture(self, node: Node, direction: Direction) -> None:
        port, path = node.name, self._path(node.name, direction, "pcap")
        words = f"-i {port} -Q {direction.value} -w {path}"
        self._dump(node.switch, words, self._path(port, direction, "log"))

    def _capture_kept(self, host: str) -> None:
        """Capture behind a host's filter, where what it has dropped does not come."""
        what = f"(tcp and dst host {self._topology.vip}) or ether proto {EXPERIMENTAL}"
        words = f"-i {NODE_INTERFACE} -Q in -w {self._path(host, _KEPT, 'pcap')} {what}"
        self._dump(host, words, self._path(host, _KEPT, "log"))

    def _dump(self, node: str, words: str, log: Path) -> None:
        always = f"tcpdump -s {SNAP_SIZE} -U -B 8192 -n -Z root --immediate-mode"
        always += " --time-stamp-precision nano"
        self._spawn(node, (*always.split(), *words.split()), log)

    def _frames(self, path: Path, port: str, direction: Direction) -> list[SeenFrame]:
        return [
            SeenFrame(each.at_ns / 1e9 - self.origin_s, port, direction, each.data)
            for each in read_capture(path.read_bytes())
        ]

    def _watch(self, node: str, words: tuple[str, ...]) -> None:
        self._spawn(node, words, self._folder / f"{node}.monitor")

    def _spawn(self, node: str, words: tuple[str, ...], output: Path) -> None:
        with output.open("wb") as sink:
            self._running.append(
                subprocess.Popen(
                    inside(self._names.namespace(node), *words),
                    stdin=subprocess.DEVNULL,
                    stdout=sink,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )

    def _lines(self, node: str) -> list[tuple[float, str]]:
        """Return what a monitor printed: seconds since the beginning, and the words."""
        found = []
        at_s = 0.0
        for line in (self._folder / f"{node}.monitor").read_text().splitlines():
            if stamped := _STAMPED.match(line):
                at = datetime.fromisoformat(stamped[1])
                found.append((at.astimezone().timestamp() - self.origin_s, stamped[2]))
            elif stamp := _STAMP.match(line):
                at = datetime.strptime(stamp[1], "%a %b %d %H:%M:%S %Y").astimezone()
                at_s = at.timestamp() + int(stamp[2]) / 1e6 - self.origin_s
            else:
                found.append((at_s, line))
        return found

    def _path(self, node: str, direction: str, suffix: str) -> Path:
        return self._folder / f"{node}-{direction}.{suffix}"
