# SPDX-License-Identifier: Apache-2.0
"""Who relays to whom: entered and left in two steps, so that no frame is kept twice.

One host, the *receiver*, says in its heartbeats that it receives, under an epoch. Whoever hears it
*follows*: takes relayed frames only, and says whom and which epoch. The receiver relays to a host
only while that host's latest heartbeat says that it follows under the very epoch. To end it, the
receiver stops relaying and then says so; a follower takes frames from the segment again only when
it has heard that, or when the receiver no longer counts, whose lease is over by then: without a
lease the data path relays nothing.

So at no time does one host relay to another that takes frames from the segment as well. The frames
lost in between are those of one heartbeat's flight. Knows nothing of why anybody relays.
"""

from collections.abc import Iterable
from typing import Final

from wlbs.core.protocol.events import Instant
from wlbs.core.protocol.peers import Peer
from wlbs.core.protocol.wire import MASK_32, NO_RELAYING, Relaying
from wlbs.core.rules import HostIndex

HOLD_NS: Final = 1_000_000_000
"""How long a segment must flood again before relaying ends: an entry that comes and goes with each
frame of a hijacker must not take the service with it. Relaying meanwhile costs a hop."""


class Relays:
    """One member's part in relaying."""

    def __init__(self, own: HostIndex) -> None:
        """Begin with a segment that floods."""
        self._own = own
        self._epoch = 0
        self._following: tuple[HostIndex, int] | None = None
        self._ready: frozenset[HostIndex] = frozenset()
        self._wanted_at: Instant | None = None

    @property
    def is_receiving(self) -> bool:
        """Whether this member receives for all."""
        return bool(self._epoch)

    @property
    def receiver(self) -> HostIndex | None:
        """Who receives, as far as this member's data path is concerned."""
        if self._epoch:
            return self._own
        return self._following[0] if self._following else None

    @property
    def ready(self) -> frozenset[HostIndex]:
        """To whom this member may relay."""
        return self._ready

    @property
    def said(self) -> Relaying:
        """What the heartbeat says of it."""
        if self._epoch:
            return Relaying(self._epoch)
        return Relaying(0, *self._following) if self._following else NO_RELAYING

    def reaches(self, peer: Peer) -> bool:
        """Whether frames may go to a peer, or come from it: it receives, or follows as we do."""
        if self._epoch:
            return peer.index in self._ready
        if self._following is None or peer.report is None:
            return False
        return peer.index == self._following[0] or peer.report.relaying.followed == self._following

    def settle(
        self, wanted: HostIndex | None, counted: Iterable[Peer], sequence: int, now: Instant
    ) -> bool:
        """Bring it into line with who is wanted as receiver; whether anything changed.

        ``sequence`` is that of the next heartbeat, and serves as the epoch: it never comes back.
        """
        before = (self._epoch, self._following, self._ready)
        claims = {
            peer.index: peer.report.relaying.epoch
            for peer in counted
            if peer.report is not None and peer.report.relaying.epoch
        }
        self._receive(wanted, claims, sequence, now)
        self._follow(wanted, claims)
        epoch = (self._own, self._epoch)
        self._ready = frozenset(
            peer.index
            for peer in counted
            if self._epoch and peer.report is not None and peer.report.relaying.followed == epoch
        )
        return (self._epoch, self._following, self._ready) != before

    def end(self) -> None:
        """Receive no more: this member has no lease. Whom it follows still relays to it."""
        self._epoch, self._ready = 0, frozenset()

    def _receive(
        self,
        wanted: HostIndex | None,
        claims: dict[HostIndex, int],
        sequence: int,
        now: Instant,
    ) -> None:
        if wanted == self._own:
            self._wanted_at = now
        if not self._epoch:
            if wanted == self._own and not claims:
                self._epoch = sequence & MASK_32
            return
        is_held = wanted is None and now - (self._wanted_at or 0) < HOLD_NS
        # Of two that receive, one goes: the one that is not wanted, or that comes later.
        first = min(claims, default=self._own)
        is_behind = wanted in claims or (wanted != self._own and first < self._own)
        if is_behind or (wanted != self._own and not is_held):
            self._epoch = 0

    def _follow(self, wanted: HostIndex | None, claims: dict[HostIndex, int]) -> None:
        if self._following and claims.get(self._following[0]) != self._following[1]:
            self._following = None
        if self._epoch:
            self._following = None
        elif not self._following and claims:
            receiver = wanted if wanted in claims else min(claims)
            assert receiver is not None, "it is one of those that say so"
            self._following = (receiver, claims[receiver])
