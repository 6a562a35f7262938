# SPDX-License-Identifier: Apache-2.0
"""What a member knows of its peers: when each was heard, by whom else, and what it last said.

A peer *counts* while this member must assume that it may keep new flows: it is heard; or a peer
that is heard hears it; or its data path says that its lease is live. Only a peer that does not
count can lose its buckets. Knows nothing of buckets.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from wlbs.core.address import Mac
from wlbs.core.cluster import Cluster, Timing
from wlbs.core.protocol.effects import State
from wlbs.core.protocol.events import Instant
from wlbs.core.protocol.wire import MASK_32, Echo, Heartbeat
from wlbs.core.rules import HostIndex

RESET_AFTER_NS: Final = 3_000_000_000
"""How long a host that answers nothing may still have connections that nobody else resets: longer
than the first two retransmissions of TCP (1 s and 2 s, RFC 6298, 2.1 and 5.5)."""

TAKING_PART: Final = frozenset({State.CONVERGING, State.CONVERGED})


@dataclass(slots=True)
class Peer:
    """One other host of the cluster; ``report`` is None until it has been heard."""

    index: HostIndex
    heard_at: Instant
    """When it was last heard; the beginning of this member if it never was."""
    source: Mac | None = None
    report: Heartbeat | None = None
    is_stale: bool = False
    """Whether it has stopped counting since that report, so that it may claim less by now."""
    deaf_since: Instant | None = None
    """Since when each of its heartbeats has echoed nobody."""
    echoed: int = 0
    """The latest of our sequences that it says it has heard."""
    echoed_sent_at: Instant | None = None
    """When we sent that one."""
    vouched: tuple[int, int] = (0, 0)
    """The latest (boot nonce, sequence) that another peer says it has heard of this one."""
    vouched_at: Instant | None = None
    answered_at: Instant | None = None
    """When its data path last answered a probe."""
    answered_nonce: int | None = None
    """Which load of its data path answered: only that one can be speaking now."""
    said_live_at: Instant | None = None
    """When its data path last said that its lease is live; None if it said otherwise since."""

    @property
    def is_stopped(self) -> bool:
        """Whether it said goodbye: its lease has ended and its connections are cut."""
        return self.report is not None and self.report.state is State.STOPPED

    @property
    def takes_part(self) -> bool:
        """Whether it said that it takes part."""
        return self.report is not None and not self.is_stale and self.report.state in TAKING_PART

    @property
    def serves(self) -> bool:
        """Whether it said that it takes part, or finishes what it has."""
        report = self.report
        is_draining = report is not None and not self.is_stale and report.state is State.DRAINING
        return self.takes_part or is_draining

    @property
    def news(self) -> tuple[int, State, int] | None:
        """What of its report others wait to have heard."""
        report = self.report
        return (report.boot_nonce, report.state, report.target) if report is not None else None

    @property
    def has_nothing(self) -> bool:
        """Whether it says that it has no connection and asks for no bucket."""
        report = self.report
        return report is not None and not report.target and not any(report.foreign)

    @property
    def target(self) -> int:
        """The target it said its table follows; none if that may be over."""
        return self.report.target if self.report is not None and not self.is_stale else 0


class Peers:
    """All other hosts of a cluster, as one member sees them."""

    def __init__(self, cluster: Cluster, own: HostIndex, now: Instant) -> None:
        """Know their names from the configuration, and nothing else."""
        self._timing: Timing = cluster.timing
        self._suspicion_ns = cluster.timing.period_ns * 3 // 2
        self.configuration = cluster.configuration
        self._own = own
        self._cut_off_at: Instant | None = None
        """When this member last had to think that it is the one who is cut off."""
        self._peers = {
            host.index: Peer(host.index, now)
            for host in sorted(cluster.hosts, key=lambda each: each.index)
            if host.index != own
        }

    def __iter__(self) -> Iterator[Peer]:
        """Go through them in the order of their priorities."""
        return iter(self._peers.values())

    def get(self, index: HostIndex) -> Peer | None:
        """Return the peer of this index, or None if the configuration has no such host."""
        return self._peers.get(index)

    def hear(self, peer: Peer, source: Mac, heartbeat: Heartbeat, now: Instant) -> None:
        """Take note of a heartbeat that is authentic, new and of this very peer."""
        is_reborn = peer.report is not None and peer.report.boot_nonce != heartbeat.boot_nonce
        if is_reborn:
            peer.echoed, peer.echoed_sent_at = 0, None
        was_heard = self.is_heard(peer, now)
        peer.heard_at, peer.source, peer.report = now, source, heartbeat
        peer.is_stale = False
        peer.answered_at = peer.said_live_at = None
        # What we have heard ourselves is no news from others.
        peer.vouched = (heartbeat.boot_nonce & MASK_32, heartbeat.sequence & MASK_32)
        if heartbeat.echoes:
            peer.deaf_since = None
        elif peer.deaf_since is None or not was_heard:
            peer.deaf_since = now
        for echo in heartbeat.echoes:
            other = self._peers.get(echo.host)
            if other is not None and _is_news(echo, other.vouched):
                other.vouched, other.vouched_at = (echo.boot_nonce, echo.sequence), now

    def is_heard(self, peer: Peer, now: Instant) -> bool:
        """Whether it was heard within the detection time."""
        return peer.report is not None and now - peer.heard_at < self._timing.detection_ns

    def is_odd(self, peer: Peer) -> bool:
        """Whether it has another configuration than this member."""
        return peer.report is not None and peer.report.configuration != self.configuration

    def better_configured(self, own: HostIndex, now: Instant) -> frozenset[HostIndex]:
        """Return the hosts whose configuration goes before this member's; empty if none does.

        The larger group goes first; of two alike, the one with the highest host priority.
        """
        groups: dict[bytes, set[HostIndex]] = {self.configuration: {own}}
        for peer in self:
            if peer.report is not None and self.is_heard(peer, now) and not peer.is_stopped:
                groups.setdefault(peer.report.configuration, set()).add(peer.index)
        best = max(groups, key=lambda each: (len(groups[each]), -min(groups[each])))
        return frozenset() if best == self.configuration else frozenset(groups[best])

    def is_deaf(self, peer: Peer, now: Instant, *, times: int = 1) -> bool:
        """Whether it has been heard to hear nobody for so many detection times.

        Not at once: what it has just heard for the first time, it says with its next heartbeat.
        """
        deaf_since, patience_ns = peer.deaf_since, times * self._timing.detection_ns
        return deaf_since is not None and not _is_within(deaf_since, patience_ns, now)

    def echoed(self, now: Instant) -> tuple[Echo, ...]:
        """Return the echoes due to the peers: whoever is not echoed loses its lease.

        Neither a peer that is deaf nor one with another configuration is echoed, so that it has
        stopped by the time it no longer counts.
        """
        return tuple(
            Echo(peer.index, peer.report.boot_nonce, peer.report.sequence)
            for peer in self
            if peer.report is not None
            and self.is_heard(peer, now)
            and not self.is_deaf(peer, now)
            and not self.is_odd(peer)
        )

    def counts(self, peer: Peer, now: Instant) -> bool:
        """Whether this peer may keep new flows, for all this member knows."""
        if peer.is_stopped or self.is_odd(peer):
            return False
        if self.is_heard(peer, now):
            return not self.is_deaf(peer, now, times=2)
        detection_ns = self._timing.detection_ns
        if _is_within(peer.vouched_at, detection_ns, now):
            return True
        if _is_within(peer.said_live_at, detection_ns, now):
            return True
        # What was given up once comes back by being heard, not by our hearing nobody else.
        answers = _is_within(peer.answered_at, detection_ns, now) and not peer.is_stale
        if not answers or self._hears_anybody(now):
            return False
        # Its data path answers that it has no lease, and we hear nobody at all: perhaps it is we
        # who are deaf. A peer that hears us would refuse us and serve after three detection times;
        # where nobody hears anybody, whoever has the highest priority of those who answer serves.
        rank = sum(
            1
            for each in self
            if each.index < self._own and _is_within(each.answered_at, detection_ns, now)
        )
        return now - peer.heard_at < detection_ns * (4 + rank)

    def counted(self, now: Instant) -> tuple[Peer, ...]:
        """Return the peers that count."""
        if self._may_be_cut_off(now):
            self._cut_off_at = now
        return tuple(peer for peer in self if self.counts(peer, now))

    def suspects(self, now: Instant) -> frozenset[HostIndex]:
        """Return the peers that have missed a heartbeat, and are silent for half a period more."""
        return frozenset(p.index for p in self if now - p.heard_at >= self._suspicion_ns)

    def is_gone(self, peer: Peer, now: Instant) -> bool:
        """Whether its connections are over: it stopped, or nothing of it answers for so long."""
        if peer.is_stopped:
            return True
        also = (peer.answered_at, peer.vouched_at, self._cut_off_at)
        signs = [peer.heard_at, *(at for at in also if at is not None)]
        return now - max(signs) >= RESET_AFTER_NS

    def to_probe(self, now: Instant) -> tuple[Peer, ...]:
        """Return the peers whose data path should be asked: silent, and not gone for long."""
        silent = self.suspects(now)
        return tuple(p for p in self if p.index in silent and not self.is_gone(p, now))

    def forgive(self, lateness_ns: int, now: Instant) -> None:
        """Count nobody's silence while this member itself could not hear (Lifeguard, 2018)."""
        for peer in self:
            peer.heard_at = Instant(min(peer.heard_at + lateness_ns, now))

    def deadlines(self, now: Instant) -> Iterable[Instant]:
        """Yield the moments at which silence alone changes what a peer is."""
        for peer in self:
            signs = (peer.heard_at, peer.vouched_at, peer.said_live_at, peer.answered_at)
            moments = [peer.heard_at + self._suspicion_ns]
            for patience_ns in (self._timing.detection_ns, RESET_AFTER_NS):
                moments += [at + patience_ns for at in signs if at is not None]
            yield from (Instant(at) for at in moments if at > now)

    def _may_be_cut_off(self, now: Instant) -> bool:
        """Whether several peers were there and none is heard: they live on, for all it knows.

        Were their connections taken to be over, this member would reset them when the segment
        heals, until the first heartbeat arrives. Of a single peer nothing can be said: there its
        death is the likelier.
        """
        known = [peer for peer in self if peer.report is not None and not peer.is_stopped]
        return len(known) > 1 and not any(self.is_heard(peer, now) for peer in known)

    def _hears_anybody(self, now: Instant) -> bool:
        return any(self.is_heard(each, now) and not self.is_deaf(each, now) for each in self)


def echo_matches(nonce: int, echo_nonce: int) -> bool:
    """Whether an echo is of the incarnation with this boot nonce."""
    return nonce & MASK_32 == echo_nonce


def is_later(sequence: int, than: int) -> bool:
    """Whether a sequence comes after another, both cut to 32 bits and wrapping around."""
    return 0 < (sequence - than) & MASK_32 < 1 << 31


def _is_news(echo: Echo, known: tuple[int, int]) -> bool:
    return echo.boot_nonce != known[0] or is_later(echo.sequence, known[1])


def _is_within(at: Instant | None, patience_ns: int, now: Instant) -> bool:
    return at is not None and now - at < patience_ns
