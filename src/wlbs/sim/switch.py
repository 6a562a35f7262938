# SPDX-License-Identifier: Apache-2.0
"""A switch: its table, ageing, flooding, storm control, and cuts by port and kind of traffic.

Learns every source as IEEE 802.1D (1998), 7.8, has it, floods what it has not learned, and forgets
an entry after 300 s, 802.1D's default, or when the port's carrier goes. A hub is one that does not
learn. Cuts drop frames between two ports and do not keep it from learning. Knows Ethernet
addresses, and the few marks by which kinds of traffic differ; nothing of who owns a flow.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from wlbs.core.address import MAC_SIZE, Mac
from wlbs.core.frame import ETHERNET_SIZE, EtherType, Frame, Packet, Segment, parse
from wlbs.scenario.evidence import Direction
from wlbs.scenario.steps import Cut, Traffic
from wlbs.scenario.topology import SWITCH
from wlbs.sim.schedule import NS_PER_S, Plan, Schedule
from wlbs.sim.snooping import Snooping

AGEING_NS: Final = 300 * NS_PER_S


@dataclass(slots=True)
class Entry:
    """Where an address was last seen as a source, and when."""

    port: str
    seen_at: int
    expiry: Plan


@dataclass(slots=True)
class Watch:
    """Who wants to know what a switch does; frames on trunks are nobody's."""

    on_frame: Callable[[str, Direction, bytes], None] = lambda _port, _direction, _data: None
    on_learned: Callable[[str, Mac, str], None] = lambda _switch, _mac, _port: None
    on_forgotten: Callable[[str, Mac], None] = lambda _switch, _mac: None


@dataclass(slots=True)
class Port:
    """One port: where its frames go, and what is special about it."""

    send: Callable[[bytes], None]
    is_trunk: bool = False
    blocks_unknown: bool = False
    """Whether unknown unicast is not flooded to it."""
    second: int = -1
    flooded_count: int = 0
    """In which second of the clock it was last counted, and the frames to be flooded in it."""


@dataclass(slots=True)
class Switch:
    """One switch; ``vmac`` tells it which frames cuts of cluster traffic and storms concern."""

    schedule: Schedule
    vmac: Mac
    watch: Watch = field(default_factory=Watch)
    name: str = SWITCH
    learns: bool = True
    snooping: Snooping | None = None
    cuts: list[Cut] = field(default_factory=list)
    flood_limit: int | None = None
    """How many frames a second it floods of each port; None: any number."""
    _ageing_ns: int = AGEING_NS
    _ports: dict[str, Port] = field(default_factory=dict)
    _table: dict[bytes, Entry] = field(default_factory=dict)

    def connect(self, name: str, port: Port) -> None:
        """Add a port."""
        self._ports[name] = port

    def disconnect(self, port: str) -> None:
        """Forget what was learned at a port whose carrier is gone."""
        for mac, entry in sorted(self._table.items()):
            if entry.port == port:
                self._forget(mac)
        if self.snooping is not None:
            self.snooping.forget(port)

    def set_ageing(self, ageing_ns: int) -> None:
        """Forget from now on what has not been seen for so long."""
        self._ageing_ns = ageing_ns
        for mac in sorted(self._table):
            self._table[mac].expiry.cancel()
            self._expire(mac)

    def port_of(self, mac: Mac) -> str | None:
        """Return the port at which an address is known, if it is."""
        entry = self._table.get(mac.octets)
        return entry.port if entry else None

    def entries(self) -> tuple[tuple[Mac, str], ...]:
        """Return every address known now, each with its port."""
        return tuple((Mac(mac), self._table[mac].port) for mac in sorted(self._table))

    def receive(self, name: str, data: bytes) -> None:
        """Take a frame that came in at a port."""
        if len(data) < ETHERNET_SIZE:
            return
        port = self._ports[name]
        if not port.is_trunk:
            self.watch.on_frame(name, Direction.FROM_NODE, data)
        self._learn(data[MAC_SIZE : 2 * MAC_SIZE], name)
        destination = Mac(data[:MAC_SIZE])
        if self._is_above_limit(port, destination):
            return
        if self.snooping is not None:
            self.snooping.hear(name, data)
        kinds = kinds_of(self.vmac, data) if self.cuts else frozenset()
        for receiver in self._receivers(destination):
            if receiver != name and not self._cuts_off(name, receiver, kinds):
                self.send(receiver, data)

    def send(self, name: str, data: bytes) -> None:
        """Send a frame out of a port."""
        port = self._ports[name]
        if not port.is_trunk:
            self.watch.on_frame(name, Direction.TO_NODE, data)
        port.send(data)

    def flood(self, data: bytes) -> None:
        """Send a frame of the switch's own out of every port."""
        for name in self._ports:
            self.send(name, data)

    def _receivers(self, destination: Mac) -> list[str]:
        """Return the ports a frame goes out of, the one it came in at included."""
        if destination.is_group:
            members = self.snooping.members(destination) if self.snooping else None
            return list(self._ports if members is None else members)
        known = self.port_of(destination)
        if known is not None:
            return [known]
        return [name for name, port in self._ports.items() if not port.blocks_unknown]

    def _is_above_limit(self, port: Port, destination: Mac) -> bool:
        """Count a frame that is to everybody, to a group or to the VMAC; whether it is too many."""
        if self.flood_limit is None or not (destination.is_group or destination == self.vmac):
            return False
        second = self.schedule.now // NS_PER_S
        if second != port.second:
            port.second, port.flooded_count = second, 0
        port.flooded_count += 1
        return port.flooded_count > self.flood_limit

    def _learn(self, mac: bytes, port: str) -> None:
        if not self.learns or not self._ageing_ns or Mac(mac).is_group:
            return
        entry = self._table.get(mac)
        if entry is None:
            expiry = self.schedule.after(self._ageing_ns, lambda: self._expire(mac))
            self._table[mac] = Entry(port, self.schedule.now, expiry)
        else:
            entry.seen_at = self.schedule.now
        if entry is None or entry.port != port:
            self._table[mac].port = port
            self.watch.on_learned(self.name, Mac(mac), port)

    def _expire(self, mac: bytes) -> None:
        """Forget an entry that is due, or look again when it may be."""
        entry = self._table[mac]
        due = entry.seen_at + self._ageing_ns
        if due <= self.schedule.now:
            self._forget(mac)
        else:
            entry.expiry = self.schedule.at(due, lambda: self._expire(mac))

    def _forget(self, mac: bytes) -> None:
        self._table.pop(mac).expiry.cancel()
        self.watch.on_forgotten(self.name, Mac(mac))

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
