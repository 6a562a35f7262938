# SPDX-License-Identifier: Apache-2.0
"""The evidence of one run, its frames read once: what every judge looks at.

Knows frames, flows and moments. Knows nothing of what should hold.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from wlbs.core.address import IpAddress
from wlbs.core.cluster import Cluster
from wlbs.core.frame import ETHERNET_SIZE, Arp, Frame, Malformed, Packet, Segment, parse
from wlbs.core.rules import HostIndex
from wlbs.scenario.evidence import Direction, Evidence, Moment, SeenFrame
from wlbs.scenario.report import Expectation
from wlbs.scenario.setup import ANY_KEY
from wlbs.scenario.steps import BeginAttempts, Deed, Do, Scenario
from wlbs.scenario.topology import Topology

FlowId = tuple[IpAddress, int, int]
"""A flow as client and server both name it: client address, client port, server port."""

EXAMPLE_COUNT_MAX = 3
"""How many breaches a report quotes; the number of all of them is always given."""


_COPIES_APART_MAX = 256
"""How many other frames come between the copies of one, at a few ports and in a millisecond."""


@dataclass(frozen=True, slots=True)
class SeenSegment:
    """A TCP segment to or from the virtual IP at one switch port."""

    at_s: float
    port: str
    flow: FlowId
    is_to_vip: bool
    segment: Segment
    identity: bytes = b""
    """What tells this segment from every other: also from the same one sent again.

    The IPv4 identification, addresses, ports, and both numbers: what stays as it is where a stack
    merges segments, in the first of them.
    """


@dataclass(frozen=True, slots=True)
class SeenArp:
    """An ARP frame as it was sent."""

    seen: SeenFrame
    arp: Arp


@dataclass(slots=True)
class Observed:
    """What was observed, in the shape judges ask for; frames are in the order of their time."""

    scenario: Scenario
    evidence: Evidence
    cluster: Cluster = field(init=False)
    """The cluster as it is set up, under any key: for its addresses."""
    sent: list[SeenSegment] = field(default_factory=list)
    """Segments to the virtual IP as clients sent them, and from it as hosts did."""
    relayed: list[SeenSegment] = field(default_factory=list)
    """Segments to the virtual IP as hosts sent them on."""
    delivered: list[SeenSegment] = field(default_factory=list)
    """The same as the switch handed them out."""
    kept: list[SeenSegment] = field(default_factory=list)
    """Those to the virtual IP that a host's filter handed to its stack."""
    arps: list[SeenArp] = field(default_factory=list)
    _heard: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        """Read every frame once."""
        self.cluster = self.scenario.setup.cluster(self.topology, ANY_KEY)
        hosts = {
            self.cluster.masked_mac(HostIndex(host.number - 1), host.mac): host.name
            for host in self.topology.hosts
        }
        at_hosts = {host.name for host in self.topology.hosts}
        # The switch floods: most frames are copies of one that has just been read.
        read = lru_cache(maxsize=_COPIES_APART_MAX)(parse)
        for seen in self.evidence.frames:
            frame = read(seen.data)
            if isinstance(frame, Malformed):
                continue
            is_sent = seen.direction is Direction.FROM_NODE
            segment = _segment(self.topology.vip, seen, frame)
            if segment:
                is_relayed = is_sent and segment.is_to_vip and seen.port in at_hosts
                sent = self.relayed if is_relayed else self.sent
                (sent if is_sent else self.delivered).append(segment)
            if is_sent and isinstance(frame.payload, Arp):
                self.arps.append(SeenArp(seen, frame.payload))
            if not is_sent and frame.source in hosts:
                self._heard[seen.port, hosts[frame.source]].append(seen.at_s)
        for seen in self.evidence.kept:
            frame = parse(seen.data)
            segment = (
                None if isinstance(frame, Malformed) else _segment(self.topology.vip, seen, frame)
            )
            if segment and segment.is_to_vip:
                self.kept.append(segment)

    @property
    def topology(self) -> Topology:
        """Who took part."""
        return self.scenario.topology

    @property
    def aims(self) -> dict[str, str]:
        """The host at which each batch of attempts is aimed, if it is at any."""
        return {
            step.batch: step.aimed_at
            for step in self.scenario.steps
            if isinstance(step, BeginAttempts) and step.aimed_at
        }

    @property
    def end_s(self) -> float:
        """When the last thing was observed: until then, what held held."""
        return max(
            (
                *(each.at_s for each in self.evidence.attempts),
                *(each.last_transfer_s for each in self.evidence.connections),
                *(each.at_s for each in self.evidence.moments),
            ),
            default=0.0,
        )

    def moment(self, label: str) -> Moment | None:
        """Return the moment of a label; None if it never came, or was waited for in vain."""
        found = [each for each in self.evidence.moments if each.label == label and each.held]
        return found[-1] if found else None

    def end_of(self, label: str) -> float:
        """Return the moment of a label; without a label, or if it never came, for ever."""
        moment = self.moment(label) if label else None
        return moment.at_s if moment else float("inf")

    def was_stopped(self, host: str, *, between: tuple[float, float]) -> bool:
        """Tell whether an operator stopped a host in an interval, and so cut its connections."""
        first_s, last_s = between
        moments = [
            self.moment(step.label)
            for step in self.scenario.steps
            if isinstance(step, Do) and step.deed is Deed.STOP and step.host == host
        ]
        return any(moment and first_s <= moment.at_s <= last_s for moment in moments)

    def was_heard(self, host: str, *, at_port: str, between: tuple[float, float]) -> bool:
        """Tell whether any frame of a host was handed to a node's port in an interval."""
        times = self._heard.get((at_port, host), [])
        first_s, last_s = between
        index = bisect_right(times, last_s)
        return index > 0 and times[index - 1] >= first_s

    def found(
        self, what: str, *, held: bool, seen: str, broke_s: Sequence[float] = ()
    ) -> Expectation:
        """Return an expectation, held until the end or broken at the first of these moments."""
        return Expectation(what, min(broke_s, default=self.end_s), held, seen)


def with_examples(seen: str, examples: Sequence[str]) -> str:
    """Return what was seen with a few of the breaches."""
    if not examples:
        return seen
    return f"{seen}: " + "; ".join(examples[:EXAMPLE_COUNT_MAX])


def flow_words(flow: FlowId) -> str:
    """Return a flow as people write it."""
    client, client_port, server_port = flow
    return f"{client}:{client_port} to port {server_port}"


def _segment(vip: IpAddress, seen: SeenFrame, frame: Frame) -> SeenSegment | None:
    packet = frame.payload
    if not isinstance(packet, Packet) or not isinstance(packet.transport, Segment):
        return None
    segment = packet.transport
    if packet.destination == vip:
        flow = (packet.source, segment.source_port, segment.destination_port)
        return SeenSegment(
            seen.at_s, seen.port, flow, is_to_vip=True, segment=segment, identity=_identity(seen)
        )
    if packet.source == vip:
        flow = (packet.destination, segment.destination_port, segment.source_port)
        return SeenSegment(seen.at_s, seen.port, flow, is_to_vip=False, segment=segment)
    return None


def _identity(seen: SeenFrame) -> bytes:
    """Return the octets that tell a segment over IPv4 from all others (RFC 791, RFC 9293)."""
    ip = ETHERNET_SIZE
    tcp = ip + (seen.data[ip] & 0x0F) * 4
    return seen.data[ip + 4 : ip + 6] + seen.data[ip + 12 : ip + 20] + seen.data[tcp : tcp + 12]
