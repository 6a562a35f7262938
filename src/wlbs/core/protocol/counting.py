# SPDX-License-Identifier: Apache-2.0
"""When a member has its connections counted, and which counts it may believe.

A census says something of a bucket only if it was taken after the bucket was let go, and after any
SYN cookie sent for it can still be acknowledged. Knows nothing of which buckets there are.
"""

from typing import Final

from wlbs.core.census import Census
from wlbs.core.cluster import Timing
from wlbs.core.protocol.effects import CountConnections
from wlbs.core.protocol.events import Instant
from wlbs.core.protocol.holdings import Holdings

COOKIE_NS: Final = 1_000_000_000
"""How long after letting go of a bucket a SYN cookie of ours may still be acknowledged: the answer
takes one round trip, and a client that waits longer sends its SYN again (RFC 6298, 2.1)."""


class Counting:
    """One member's censuses."""

    def __init__(self, timing: Timing, now: Instant) -> None:
        """Have counted nothing; count anew after whatever may have been let go just before."""
        self._timing = timing
        self._asked = False
        self._asked_at = now
        self._let_go_at = now
        self.connection_count: int | None = None
        """As of the latest census that counts; None if nothing is known since the last let-go."""

    def let_go(self, now: Instant) -> None:
        """Take note that a bucket was let go: what is under way counted it otherwise."""
        self._asked = False
        self._let_go_at = now
        self.connection_count = None

    def ask(self, now: Instant, *, matters: bool) -> tuple[CountConnections, ...]:
        """Return the request for a census, if one matters and is due."""
        if self._asked or not matters or now - self._asked_at < self._timing.period_ns:
            return ()
        self._asked, self._asked_at = True, now
        return (CountConnections(),)

    def take(self, census: Census, holdings: Holdings, now: Instant) -> None:
        """Take a census into account, unless it was asked before the last let-go."""
        if not self._asked:
            return
        self._asked = False
        if now - self._let_go_at >= COOKIE_NS:
            holdings.count_own(census.foreign)
            self.connection_count = census.connection_count
