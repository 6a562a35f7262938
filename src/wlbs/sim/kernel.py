# SPDX-License-Identifier: Apache-2.0
"""What of a host's data path lives in its kernel: it outlives the agent, as pinned programs do.

Decides every frame by the reference filter and the guard, under the table in force and its own
clock's lease. Leaves out ticks: the lease ends at its very instant, which is the latest moment the
real one may end at. Knows tables, sockets and frames; nothing of members or heartbeats.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Final

from wlbs.core.address import HOST_PRIORITY_MAX, MAC_SIZE, Mac
from wlbs.core.census import BUCKETS_PER_GROUP, Census
from wlbs.core.claim import (
    Claim,
    Connection,
    HalfOpen,
    Listener,
    SocketFacts,
    TimeWait,
)
from wlbs.core.filter import Verdict, decide, locate, rewrite
from wlbs.core.frame import ETHERNET_SIZE, Frame, IpProtocol, Packet, Segment, TcpFlags, parse
from wlbs.core.guard import mask
from wlbs.core.probe import delivery_sender
from wlbs.core.protocol.events import DeliveriesCounted, Instant
from wlbs.core.reason import Reason
from wlbs.core.rules import DEFAULT_RULE
from wlbs.core.sighting import FrameKind, Sender, Sighting, Where
from wlbs.core.table import FilterTable
from wlbs.sim.frames import Path
from wlbs.sim.parts import Parts
from wlbs.sim.schedule import Schedule
from wlbs.sim.stack import TcpStack
from wlbs.sim.tcp import Socket, TcpState

UNCOUNTED: Final = frozenset({TcpState.SYN_SENT, TcpState.TIME_WAIT, TcpState.CLOSED})
"""Sockets that a census leaves out: no connection of a client ends if they are forgotten."""


@dataclass(frozen=True, slots=True)
class Passage:
    """What became of a frame: the verdict, and the frame as it goes on."""

    verdict: Verdict
    data: bytes


SightingKey = tuple[Where, FrameKind, Mac, Sender | None]


class Kernel:
    """The data path of one host, from the moment it is loaded until it is undone."""

    def __init__(self, schedule: Schedule, stack: TcpStack, boot_nonce: int, parts: Parts) -> None:
        """Begin with no table and no lease."""
        self.boot_nonce = boot_nonce
        self.table: FilterTable | None = None
        self.counters: Counter[Reason] = Counter()
        self._schedule = schedule
        self._stack = stack
        self._parts = parts
        self._lease_until = Instant(0)
        self._sightings: dict[SightingKey, Sighting] = {}
        self._news: dict[SightingKey, None] = {}
        self._arrived = [0] * HOST_PRIORITY_MAX
        self._located: dict[Path, tuple[int, int]] = {}

    @property
    def lease_live(self) -> bool:
        """Whether new flows may be kept now."""
        return self._schedule.now < self._lease_until

    def install(self, table: FilterTable) -> None:
        """Decide every frame from now on by this table."""
        before, self.table = self.table, self._parts.table(table)
        if before and (before.key, before.rules) != (self.table.key, self.table.rules):
            self._located.clear()

    def hold_lease(self, until: Instant) -> None:
        """Keep new flows until this instant."""
        self._lease_until = self._parts.lease(until)

    def end_lease(self) -> None:
        """Keep no new flow from now on."""
        self._lease_until = Instant(0)

    def let_in(self, data: bytes) -> Passage:
        """Decide a frame that came in."""
        if self.table is None:
            self.counters[Reason.NO_TABLE] += 1
            return Passage(Verdict(Reason.NO_TABLE), data)
        claim = self._claim(self.table, data)
        verdict = decide(self.table, data, claim=claim, lease_live=self.lease_live)
        if verdict.reason is Reason.SOURCE_VMAC:
            self.sight(Where.ARRIVED, data)
        if verdict.reason is Reason.DELIVERY_PROBE:
            sender = delivery_sender(data[ETHERNET_SIZE:])
            assert sender is not None, "the filter has looked"
            self._arrived[sender] += 1
        self.counters[verdict.reason] += 1
        return Passage(verdict, rewrite(self.table, data, verdict, lease_live=self.lease_live))

    def let_out(self, data: bytes) -> Passage:
        """Decide a frame that is about to be sent."""
        if self.table is None:
            return Passage(Verdict(Reason.NO_TABLE), data)
        verdict = self._parts.guard(self.table, data)
        self.counters[verdict.reason] += 1
        if verdict.reason is Reason.GUARD_MASKED and self.table.station_mac != self.table.vmac:
            self.sight(Where.DEPARTED, data)
        return Passage(verdict, mask(self.table, data, verdict))

    def deliveries(self) -> DeliveriesCounted:
        """Say what was counted of delivery probes, and of frames from the VMAC."""
        news = tuple(self._sightings[key] for key in self._news)
        self._news.clear()
        counted = DeliveriesCounted(tuple(self._arrived), news)
        return self._parts.deliveries(counted, self._schedule.now)

    def sight(self, where: Where, data: bytes, sender: Sender | None = None) -> None:
        """Take note of a frame from the VMAC, as the real data path's programs do."""
        key = (where, FrameKind.of(data), Mac(data[:MAC_SIZE]), sender)
        now, earlier = self._schedule.now, self._sightings.get(key)
        first, count = (earlier.first, earlier.count) if earlier else (now, 0)
        self._sightings[key] = Sighting(*key[:3], count + 1, first, now, sender)
        self._news[key] = None

    def census(self) -> Census:
        """Count the connections to virtual IPs, and the groups with those in foreign buckets."""
        table = self.table
        assert table is not None, "a census is taken by the table in force"
        foreign = [0] * len(table.buckets)
        counts = [0, 0]
        for socket in self._stack.sockets():
            if socket.state in UNCOUNTED or table.vip(socket.path.own) is None:
                continue
            rule, bucket = self._locate(table, socket.path)
            is_foreign = table.buckets[rule].owners[bucket] != table.own
            foreign[rule] |= is_foreign << (bucket // BUCKETS_PER_GROUP)
            counts[is_foreign] += 1
        return Census(tuple(foreign), sum(counts), counts[True])

    def _claim(self, table: FilterTable, data: bytes) -> Claim:
        """Ask the host's sockets about a segment to a virtual IP."""
        frame = parse(data)
        packet = frame.payload if isinstance(frame, Frame) else None
        if not isinstance(packet, Packet) or not isinstance(packet.transport, Segment):
            return Claim.NONE
        segment = packet.transport
        if segment.is_bare_syn or table.vip(packet.destination) is None:
            return Claim.NONE
        path = Path(
            packet.destination, segment.destination_port, packet.source, segment.source_port
        )
        facts = facts_of(self._stack, path)
        return Claim.NONE if facts is None else self._parts.claim(facts, segment)

    def _locate(self, table: FilterTable, path: Path) -> tuple[int, int]:
        """Return which of the table's buckets a connection falls into; remembered."""
        known = self._located.get(path)
        if known is None:
            segment = Segment(path.peer_port, path.own_port, 0, 0, TcpFlags.ACK)
            packet = Packet(path.peer, path.own, IpProtocol.TCP, transport=segment)
            rule, bucket = locate(table, packet)
            known = (len(table.rules) if rule == DEFAULT_RULE else rule), bucket
            self._located[path] = known
        return known


def facts_of(stack: TcpStack, path: Path) -> SocketFacts | None:
    """Return what a host's sockets know of a flow; None if none of them would take it."""
    socket = stack.socket(path)
    if socket is not None:
        return _facts(socket)
    if not stack.listens(path.own_port):
        return None
    after_number_0 = 1
    return Listener(stack.cookie(path), after_number_0)


def _facts(socket: Socket) -> SocketFacts:
    match socket.state:
        case TcpState.SYN_RECEIVED:
            return HalfOpen(socket.snd_isn, socket.rcv_nxt)
        case TcpState.TIME_WAIT:
            return TimeWait(socket.snd_nxt, socket.rcv_nxt)
        case _:
            return Connection(socket.snd_una, socket.snd_nxt, socket.rcv_nxt)
