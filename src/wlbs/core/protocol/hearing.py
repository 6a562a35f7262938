# SPDX-License-Identifier: Apache-2.0
"""What a member lets itself be told: every heartbeat accepted, or refused with a reason.

A heartbeat is acted on if it is authentic, of this cluster, from a host the configuration has,
newer than all before it, and not of a second host with a priority that is taken. Newer means a
later sequence of the same boot nonce, or a later boot nonce: nonces are ordered by time. Only a
peer whose last life is over may come back with an earlier one (its clock was set back): it is gone,
or its data path answered a probe with the nonce that it now speaks with, or another peer has heard
that. And it must prove that it is no recording, by echoing what this member has just said.

Knows refusals and counts them. Knows nothing of what an accepted heartbeat leads to.
"""

from collections import Counter
from typing import Final

from wlbs.core.address import Mac
from wlbs.core.cluster import Cluster
from wlbs.core.protocol.effects import ReportRefusal
from wlbs.core.protocol.events import Instant
from wlbs.core.protocol.lease import Lease
from wlbs.core.protocol.peers import TAKING_PART, Peer, Peers, echo_matches
from wlbs.core.protocol.refusal import Refusal
from wlbs.core.protocol.wire import Heartbeat, WireError, decode
from wlbs.core.rules import HostIndex

REPORT_AGAIN_NS: Final = 60_000_000_000
"""A refusal that goes on is reported once a minute: chosen so that a log stays readable."""
REPORTED_MAX: Final = 64
"""Refusals remembered as reported; whoever invents more names only makes reports come again."""


class Hearing:
    """One member's ears."""

    def __init__(
        self, cluster: Cluster, own: HostIndex, boot_nonce: int, peers: Peers, lease: Lease
    ) -> None:
        """Have heard nothing."""
        self._cluster = cluster
        self._own = own
        self._boot_nonce = boot_nonce
        self._peers = peers
        self._lease = lease
        self._reported: dict[tuple[Refusal, str], Instant] = {}
        self.counts: Counter[Refusal] = Counter()
        self.rival: Heartbeat | None = None
        """What another host with this member's own priority last said."""
        self.rival_source: Mac | None = None
        self.rival_at: Instant | None = None

    def hear(
        self, source: Mac, data: bytes, now: Instant
    ) -> tuple[Heartbeat | None, tuple[ReportRefusal, ...]]:
        """Return the heartbeat if it is to be acted on; else None, and what to report of it."""
        try:
            heartbeat = decode(data, self._cluster)
        except WireError as error:
            return None, self.refuse(error.refusal, f"somebody at {source}", now)
        refusal = self._judge(source, heartbeat, now)
        who = f"host {heartbeat.host + 1} at {source}"
        if refusal is not None:
            return None, self.refuse(refusal, who, now)
        peer = self._peers.get(heartbeat.host)
        if peer is None:
            return None, ()
        self._peers.hear(peer, source, heartbeat, now)
        self._take_echo(peer, heartbeat)
        if self._peers.is_odd(peer):
            return heartbeat, self.refuse(Refusal.DIFFERENT_CONFIGURATION, who, now)
        if peer.takes_part and self._peers.is_deaf(peer, now):
            return heartbeat, self.refuse(Refusal.DEAF, who, now)
        return heartbeat, ()

    def refuse(self, refusal: Refusal, who: str, now: Instant) -> tuple[ReportRefusal, ...]:
        """Count a refusal, and return the report that is due if it is news."""
        self.counts[refusal] += 1
        reported_at = self._reported.get((refusal, who))
        if reported_at is not None and now - reported_at < REPORT_AGAIN_NS:
            return ()
        if len(self._reported) >= REPORTED_MAX:
            self._reported.clear()
        self._reported[refusal, who] = now
        return (ReportRefusal(refusal, who),)

    def yields_to_rival(self, now: Instant, *, takes_part: bool) -> bool:
        """Whether another host with this priority has the better right to it.

        Who takes part goes before who does not; of two alike, the one that began earlier.
        """
        if self.rival is None or self.rival_at is None:
            return False
        if now - self.rival_at >= self._cluster.timing.detection_ns:
            return False
        rival_takes_part = self.rival.state in TAKING_PART
        if rival_takes_part != takes_part:
            return rival_takes_part
        return self.rival.boot_nonce < self._boot_nonce

    def _judge(self, source: Mac, heartbeat: Heartbeat, now: Instant) -> Refusal | None:
        if heartbeat.host == self._own:
            return self._judge_own(source, heartbeat, now)
        peer = self._peers.get(heartbeat.host)
        if peer is None:
            return Refusal.UNKNOWN_HOST
        if peer.report is None:
            return None
        if source != peer.source and self._peers.is_heard(peer, now) and not peer.is_stopped:
            return Refusal.DUPLICATE_PRIORITY
        said, before = heartbeat, peer.report
        is_newer = (said.boot_nonce, said.sequence) > (before.boot_nonce, before.sequence)
        is_other = said.boot_nonce != before.boot_nonce
        is_back = is_other and self._is_over(peer, said.boot_nonce, now)
        is_accepted = is_newer or (is_back and self._echoed(said) is not None)
        return None if is_accepted else Refusal.REPLAYED

    def _is_over(self, peer: Peer, boot_nonce: int, now: Instant) -> bool:
        """Whether the life that a peer last spoke of is over, another being said to have begun."""
        return (
            peer.answered_nonce == boot_nonce
            or echo_matches(boot_nonce, peer.vouched[0])
            or self._peers.is_gone(peer, now)
        )

    def _judge_own(self, source: Mac, heartbeat: Heartbeat, now: Instant) -> Refusal | None:
        if heartbeat.boot_nonce == self._boot_nonce:
            return None  # our own, come back to us by a loop in the segment
        self.rival, self.rival_source, self.rival_at = heartbeat, source, now
        return Refusal.DUPLICATE_PRIORITY

    def _echoed(self, heartbeat: Heartbeat) -> tuple[int, Instant] | None:
        """Return which of our recent heartbeats this one echoes, and when we sent it."""
        echo = heartbeat.echo_of(self._own)
        if echo is None or not echo_matches(self._boot_nonce, echo.boot_nonce):
            return None
        return self._lease.sent(echo.sequence)

    def _take_echo(self, peer: Peer, heartbeat: Heartbeat) -> None:
        echoed = self._echoed(heartbeat)
        if echoed is not None and echoed[0] > peer.echoed:
            peer.echoed, peer.echoed_sent_at = echoed
