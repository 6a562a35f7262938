# SPDX-License-Identifier: Apache-2.0
"""Records what happens at the switches and at the clients, as evidence and as captures.

Sees what the lab's recorders see: frames at nodes' ports, the switches' tables, neighbour tables,
the services' logs. Knows nothing of what should be in it.
"""

from wlbs.core.address import IpAddress, Mac
from wlbs.core.pcap import CapturedFrame, write_capture
from wlbs.core.protocol.effects import Effect
from wlbs.core.protocol.telling import fields_of
from wlbs.scenario.evidence import (
    BridgeEntry,
    Direction,
    LogEntry,
    NeighbourEntry,
    Said,
    SeenFrame,
)
from wlbs.scenario.forwarding import TableHistory
from wlbs.sim.schedule import NS_PER_S, Schedule


class Recorder:
    """Everything observed in one world; times count from ``origin_ns`` on."""

    def __init__(self, schedule: Schedule) -> None:
        """Begin with nothing."""
        self.origin_ns = 0
        self.log: list[LogEntry] = []
        self._schedule = schedule
        self._frames: list[tuple[int, str, Direction, bytes]] = []
        self._kept: list[tuple[int, str, bytes]] = []
        self._changes: list[tuple[int, str, Mac, str | None]] = []
        self._neighbours: list[tuple[int, str, IpAddress, Mac]] = []
        self._told: list[tuple[int, str, dict[str, str]]] = []

    def see(self, port: str, direction: Direction, data: bytes) -> None:
        """Record a frame at a port."""
        self._frames.append((int(self._schedule.now), port, direction, data))

    def keep(self, host: str, data: bytes) -> None:
        """Record a frame that a host's filter has handed to its stack."""
        self._kept.append((int(self._schedule.now), host, data))

    def learn(self, switch: str, mac: Mac, port: str) -> None:
        """Record that a switch has learned an address."""
        self._changes.append((int(self._schedule.now), switch, mac, port))

    def forget(self, switch: str, mac: Mac) -> None:
        """Record that a switch has forgotten an address."""
        self._changes.append((int(self._schedule.now), switch, mac, None))

    def meet(self, client: str, address: IpAddress, mac: Mac) -> None:
        """Record a client's new neighbour."""
        self._neighbours.append((int(self._schedule.now), client, address, mac))

    def tell(self, host: str, effects: tuple[Effect, ...]) -> None:
        """Record what a host's agent tells its operator."""
        lines = [fields for each in effects if (fields := fields_of(each))]
        self._told += [(int(self._schedule.now), host, fields) for fields in lines]

    def seconds(self, at_ns: int) -> float:
        """Return an instant as evidence gives it."""
        return (at_ns - self.origin_ns) / NS_PER_S

    def frames(self) -> tuple[SeenFrame, ...]:
        """Return all frames in the order of their time."""
        return tuple(
            SeenFrame(self.seconds(at), port, direction, data)
            for at, port, direction, data in self._frames
        )

    def kept(self) -> tuple[SeenFrame, ...]:
        """Return what hosts kept, in the order of its time."""
        return tuple(
            SeenFrame(self.seconds(at), host, Direction.TO_NODE, data)
            for at, host, data in self._kept
        )

    def bridge_entries(self) -> tuple[BridgeEntry, ...]:
        """Return every entry the switches ever held."""
        history = TableHistory()
        for at, switch, mac, port in self._changes:
            if port is None:
                history.forget(self.seconds(at), switch, mac)
            else:
                history.learn(self.seconds(at), switch, mac, port)
        return history.entries()

    def neighbours(self) -> tuple[NeighbourEntry, ...]:
        """Return every neighbour entry the clients had."""
        return tuple(
            NeighbourEntry(self.seconds(at), client, address, mac)
            for at, client, address, mac in self._neighbours
        )

    def said(self) -> tuple[Said, ...]:
        """Return what the agents told."""
        return tuple(
            Said(self.seconds(at), host, fields["event"], fields) for at, host, fields in self._told
        )

    def capture(self, port: str) -> bytes:
        """Return a capture file of all frames at a port, in both directions."""
        return write_capture(
            CapturedFrame(at, data) for at, seen_at, _, data in self._frames if seen_at == port
        )
