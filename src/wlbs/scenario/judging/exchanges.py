# SPDX-License-Identifier: Apache-2.0
"""From segments to exchanges: one SYN with all that followed, and who answered it.

A port pair that comes back begins a new exchange with a new sequence number; a SYN sent again has
the old one. Knows TCP as far as a switch port shows it. Knows nothing of what should hold.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from wlbs.core.frame import TcpFlags
from wlbs.scenario.judging.observed import FlowId, SeenSegment

_WORD = 1 << 32
"""Sequence numbers are counted modulo this (RFC 9293, 3.4)."""


@dataclass(slots=True)
class Exchange:
    """One SYN and what followed it, until a reset or the port pair's next SYN."""

    flow: FlowId
    sequence: int
    syns_s: list[float] = field(default_factory=list)
    answers: list[SeenSegment] = field(default_factory=list)
    accepted: dict[str, float] = field(default_factory=dict)
    """Which hosts sent a SYN-ACK, and when each did first."""
    owner: str | None = None
    """The host whose SYN-ACK the client acknowledged first."""
    owned_s: float = 0.0
    ended_s: float = float("inf")
    """When the client or the owner reset it."""

    def take_from_client(self, seen: SeenSegment) -> None:
        """Add what the client sent, other than a first SYN."""
        segment = seen.segment
        if segment.is_bare_syn:
            self.syns_s.append(seen.at_s)
        elif segment.flags & TcpFlags.RST:
            self.ended_s = min(self.ended_s, seen.at_s)
        elif self.owner is None and segment.flags & TcpFlags.ACK:
            self.owner = self._acknowledged(segment.acknowledgement)
            self.owned_s = seen.at_s

    def take_from_host(self, seen: SeenSegment) -> None:
        """Add what a host sent."""
        self.answers.append(seen)
        flags = seen.segment.flags
        if flags & TcpFlags.RST:
            if self.owner in {None, seen.port}:
                self.ended_s = min(self.ended_s, seen.at_s)
        elif flags & TcpFlags.SYN:
            self.accepted.setdefault(seen.port, seen.at_s)

    def _acknowledged(self, acknowledgement: int) -> str | None:
        for answer in self.answers:
            is_accepting = answer.segment.flags & TcpFlags.SYN
            if is_accepting and (answer.segment.sequence + 1) % _WORD == acknowledgement:
                return answer.port
        return None


def exchanges(sent: Iterable[SeenSegment]) -> list[Exchange]:
    """Return all exchanges in the order of their first SYNs; what no SYN began is left out."""
    found: list[Exchange] = []
    current: dict[FlowId, Exchange] = {}
    for seen in sent:
        known = current.get(seen.flow)
        if not seen.is_to_vip:
            if known:
                known.take_from_host(seen)
        elif seen.segment.is_bare_syn and (not known or known.sequence != seen.segment.sequence):
            current[seen.flow] = Exchange(seen.flow, seen.segment.sequence, [seen.at_s])
            found.append(current[seen.flow])
        elif known:
            known.take_from_client(seen)
    return found


def by_flow(found: Iterable[Exchange]) -> dict[FlowId, list[Exchange]]:
    """Return the exchanges of each flow, in their order."""
    flows: dict[FlowId, list[Exchange]] = defaultdict(list)
    for exchange in found:
        flows[exchange.flow].append(exchange)
    return flows
