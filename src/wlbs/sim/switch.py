# SPDX-License-Identifier: Apache-2.0
"""A learning switch: its table, ageing, flooding, and cuts by port and kind of traffic.

Learns every source as IEEE 802.1D (1998), 7.8, has it, floods what it has not learned, and forgets
an entry after 300 s, 802.1D's default, or when the port's carrier goes. Cuts drop frames between
two ports and do not keep it from learning. Knows Ethernet addresses, and the few marks by which
kinds of traffic differ; nothing of who owns a flow.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from wlbs.core.address import MAC_SIZE, Mac
from wlbs.core.frame import ETHERNET_SIZE, EtherType, Frame, Packet, Segment, parse
from wlbs.scenario.evidence import Direction
from wlbs.scenario.steps import Cut, Traffic
from wlbs.sim.schedule import NS_PER_S, Schedule

AGEING_NS: Final = 300 * NS_PER_S


@dataclass(slots=True)
class Entry:
    """Where an address was last seen as a source, and when."""

    port: str
    seen_at: int


@dataclass(slots=True)
class Watch:
    """Who wants to know what a switch does."""

    on_frame: Callable[[str, Direction, bytes], None] = lambda _port, _direction, _data: None
    on_learned: Callable[[Mac, str], None] = lambda _mac, _port: None


@dataclass(slots=True)
class Switch:
    """One switch; ``vmac`` tells it which frames a cut of cluster traffic concerns."""

    schedule: Schedule
    vmac: Mac
    watch: Watch = field(default_factory=Watch)
    cuts: list[Cut] = field(default_factory=list)
    _ports: dict[str, Callable[[bytes], None]] = field(default_factory=dict)
    _table: dict[bytes, Entry] = field(default_factory=dict)

    def connect(self, port: str, send: Callable[[bytes], None]) -> None:
        """Add a port, out of which frames go by ``send``."""
        self._ports[port] = send

    def disconnect(self, port: str) -> None:
        """Forget what was learned at a port whose carrier is gone."""
        self._table = {mac: entry for mac, entry in self._table.items() if entry.port != port}

    def port_of(self, mac: Mac) -> str | None:
        """Return the port at which an address is known, if it is."""
        entry = self._table.get(mac.octets)
        if entry is None or self.schedule.now - entry.seen_at >= AGEING_NS:
            return None
        return entry.port

    def entries(self) -> tuple[tuple[Mac, str], ...]:
        """Return every address known now, each with its port."""
        macs = sorted(map(Mac, self._table))
        return tuple((mac, port) for mac in macs if (port := self.port_of(mac)))

    def receive(self, port: str, data: bytes) -> None:
        """Take a frame that came in at a port."""
        if len(data) < ETHERNET_SIZE:
            return
        self.watch.on_frame(port, Direction.FROM_NODE, data)
        destination = Mac(data[:MAC_SIZE])
        self._learn(Mac(data[MAC_SIZE : 2 * MAC_SIZE]), port)
        known = None if destination.is_group else self.port_of(destination)
        receivers = [known] if known else list(self._ports)
        kinds = kinds_of(self.vmac, data) if self.cuts else frozenset()
        for receiver in receivers:
            if receiver != port and not self._cuts_off(port, receiver, kinds):
                self.watch.on_frame(receiver, Direction.TO_NODE, data)
                self._ports[receiver](data)

    def _learn(self, mac: Mac, port: str) -> None:
        if mac.is_group:
            return
        if self.port_of(mac) != port:
            self.watch.on_learned(mac, port)
        self._table[mac.octets] = Entry(port, self.schedule.now)

    def _cuts_off(self, sender: str, receiver: str, kinds: frozenset[Traffic]) -> bool:
        return any(
            cut.sender in {None, sender} and cut.receiver in {None, receiver}
            for cut in self.cuts
            if cut.traffic in kinds
        )


def kinds_of(vmac: Mac, data: bytes) -> frozenset[Traffic]:
    """Return the kinds of traffic a frame is; every frame is one of all."""
    frame = parse(data)
    if not isinstance(frame, Frame):
        return frozenset({Traffic.ALL})
    if frame.ethertype == EtherType.HEARTBEAT:
        return frozenset({Traffic.ALL, Traffic.HEARTBEATS})
    if frame.destination == vmac and _is_answer(frame):
        return frozenset({Traffic.ALL, Traffic.CLUSTER, Traffic.ANSWERS})
    if frame.destination == vmac or frame.ethertype == EtherType.ARP:
        return frozenset({Traffic.ALL, Traffic.CLUSTER})
    return frozenset({Traffic.ALL})


def _is_answer(frame: Frame) -> bool:
    packet = frame.payload
    segment = packet.transport if isinstance(packet, Packet) else None
    return isinstance(segment, Segment) and not segment.is_bare_syn
