# SPDX-License-Identifier: Apache-2.0
"""How long a member may keep new flows: the lease, and the echoes that prolong it.

A heartbeat that a peer has echoed was heard, so until one lease after it was *sent* that peer does
not take over. Knows the heartbeats this member has sent of late, and when. Knows nothing of who
echoes; it is told.
"""

from collections import deque

from wlbs.core.cluster import Timing
from wlbs.core.protocol.events import Instant
from wlbs.core.protocol.wire import MASK_32


class Lease:
    """One member's lease; ``until`` never moves back but by `end`."""

    def __init__(self, timing: Timing, now: Instant) -> None:
        """Begin without one."""
        self._timing = timing
        self._sent: deque[tuple[int, Instant]] = deque()
        self.until: Instant | None = None
        self.is_self_held = False
        """Whether it hangs on this member's own word, because there was no peer to echo it."""
        self.last_sent = now

    def is_live(self, now: Instant) -> bool:
        """Whether new flows may be kept now."""
        return self.until is not None and now < self.until

    def send(self, sequence: int, now: Instant) -> None:
        """Take note that a heartbeat goes out now."""
        self.last_sent = now
        self._sent.append((sequence, now))
        while now - self._sent[0][1] > self._timing.detection_ns:
            self._sent.popleft()

    def sent(self, low_sequence: int) -> tuple[int, Instant] | None:
        """Return the recent heartbeat with these low 32 bits of its sequence, and when it went."""
        for sequence, at in self._sent:
            if sequence & MASK_32 == low_sequence:
                return sequence, at
        return None

    def prolong(self, sent_at: Instant, now: Instant, *, is_self_held: bool) -> bool:
        """Hold it until a lease after that sending; whether that makes it longer."""
        until = Instant(sent_at + self._timing.lease_ns)
        if until <= max(now, self.until or now):
            return False
        self.until = until
        self.is_self_held = is_self_held
        return True

    def end(self) -> bool:
        """End it now; whether there was one."""
        had = self.until is not None
        self.until = None
        return had
