# SPDX-License-Identifier: Apache-2.0
"""Delivery probes: whose frames for the cluster's MAC arrive here, and whose do not.

Every member sends a frame to the VMAC each round, and one more before each heartbeat. On a segment
that floods, everybody gets everybody's. Judges one row of that matrix, this host's own: of each
peer whether its probes arrive, are silent, or cannot be told yet. What the rows of all hosts mean
together is for `diagnosing`.

A peer is *silent* when for so many rounds nothing of it has arrived, although its heartbeats have,
and say that it went on sending. How many rounds depends on how many of its probes are lost anyway:
as many as would be lost in a row by chance once in 10^10 times, so that loss is no capture. A host
that stood still has sent nothing in the meantime and is not blamed for it.

Knows counts and instants. Knows nothing of switches, of who captured what, or of how frames travel.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from wlbs.core.cluster import Timing
from wlbs.core.protocol.events import Instant
from wlbs.core.rules import HostIndex

ROUNDS_PER_PERIOD: Final = 4
"""Six rounds in a row tell a capture from chance on a sound segment: 150 ms by default, so that
with a heartbeat to say so it is noticed within 300 ms."""

ROUND_NS_MIN: Final = 10_000_000
"""Probes reach every port: no more than a hundred a second of each host."""

SIGHTED_NS: Final = 1_000_000_000
"""How long a frame seen from the VMAC explains what follows."""

SIGHTED_ROUNDS: Final = 2
"""Enough once somebody was seen to send from the VMAC; one may be lost by chance."""

CHANCE: Final = 1e-10
"""16 hosts judge 35 million times an hour (240 pairs, 40 rounds a second): 0.004 false alarms."""

LOSS_MIN: Final = 0.02
LOSS_MAX: Final = 0.5
"""What is taken for the loss at least, because it is estimated, and at most: beyond, half of the
probes missing is storm control's doing and no capture."""

LOSS_WINDOW: Final = 128
"""Probes over which the loss is estimated: some three seconds of rounds by default."""

LOSS_FIRST: Final = 0.25
FIRST_WINDOW: Final = 4
"""What is taken for the loss before anything is known of it, as if of so many probes: on a bad wire
six are soon lost in a row. Fifty probes that arrive, one second's, make it `LOSS_MIN`."""

THINNED_LOSS: Final = 0.1
"""A tenth of the probes lost while heartbeats arrive is called thinning."""

_MASK_32: Final = 0xFFFFFFFF


_LONG_AGO: Final = Instant(0)


@dataclass(frozen=True, slots=True)
class Row:
    """What a host says of the probes that were sent to the VMAC: one bit for each sender."""

    arriving: int = 0
    silent: int = 0


NO_ROW: Final = Row()


@dataclass(slots=True)
class Sender:
    """What is known of one peer's probes."""

    arrived: int | None = None
    """None before the first count: what a dead agent's data path has counted is no news."""
    arrived_at: Instant = _LONG_AGO
    said: int | None = None
    """How many it has sent by its latest heartbeat; None before the first."""
    base_said: int = 0
    base_arrived: int = 0
    """Both as they were when the loss was last estimated."""
    loss: float = LOSS_FIRST
    window: int = FIRST_WINDOW
    """Over how many probes that is."""
    beat_loss: float = 0.0
    beat_window: int = 0
    """The same of its heartbeats."""
    has_arrived: bool = False
    is_silent: bool = False


class Deliveries:
    """One member's probes, and its row of the matrix."""

    def __init__(self, timing: Timing, peers: Iterable[HostIndex], now: Instant) -> None:
        """Have sent nothing and heard of nobody."""
        self.round_ns = max(timing.period_ns // ROUNDS_PER_PERIOD, ROUND_NS_MIN)
        self.sent_count = 0
        self.row = NO_ROW
        self._rounds_per_period = max(timing.period_ns // self.round_ns, 1)
        self._senders = {index: Sender() for index in peers}
        self._next_at = now
        self._sighted_at: Instant | None = None
        self._warned_at: Instant | None = None

    @property
    def next_at(self) -> Instant:
        """When the next round is due."""
        return self._next_at

    def is_due(self, now: Instant) -> bool:
        """Whether the next round is due."""
        return now >= self._next_at

    def send(self, now: Instant) -> None:
        """Take note that a probe is sent now; the next round is one round away."""
        self.sent_count = self.sent_count + 1 & _MASK_32
        self._next_at = Instant(now + self.round_ns)

    def is_sighted(self, now: Instant) -> bool:
        """Whether somebody was seen to send from the VMAC within the last second."""
        return _is_recent(self._sighted_at, now)

    def warn(self, now: Instant) -> None:
        """Take note that a peer has seen, or sent, a frame from the VMAC."""
        self._warned_at = now

    def sight(self, at: Instant) -> bool:
        """Take note of when a frame from the VMAC was received; whether that is news."""
        is_news = self._sighted_at is None or at > self._sighted_at
        if is_news:
            self._sighted_at = at
        return is_news

    def forget(self, index: HostIndex) -> None:
        """Begin anew with a peer: it was born again, and counts from the start."""
        kept = self._senders[index].arrived
        self._senders[index] = Sender(arrived=kept, base_arrived=kept or 0)

    def hear(self, index: HostIndex, said: int, lost_count: int, now: Instant) -> None:
        """Take note of what a heartbeat says it sent, and of heartbeats lost since the last one."""
        sender = self._senders[index]
        if sender.said is None:
            sender.arrived_at = now
            sender.base_said, sender.base_arrived = said, sender.arrived or 0
        sender.said = said
        # Who was silent for long was away: that is no loss.
        for outcome in (1,) * min(lost_count, ROUNDS_PER_PERIOD) + (0,):
            sender.beat_window = min(sender.beat_window + 1, LOSS_WINDOW)
            sender.beat_loss += (outcome - sender.beat_loss) / sender.beat_window

    def count(self, arrived: Sequence[int], now: Instant) -> bool:
        """Take note of how many probes of each host have arrived; whether the row changed."""
        before = self.row
        for index, sender in self._senders.items():
            self._take(sender, arrived[index], now)
        self.row = Row(
            sum(1 << index for index, each in self._senders.items() if _is_arriving(each)),
            sum(1 << index for index, each in self._senders.items() if each.is_silent),
        )
        return self.row != before

    def thinned(self) -> frozenset[HostIndex]:
        """Return the peers of whose probes many are lost, and of whose heartbeats few."""
        return frozenset(index for index, each in self._senders.items() if _is_thinned(each))

    def _take(self, sender: Sender, arrived: int, now: Instant) -> None:
        if sender.arrived is None:
            sender.arrived, sender.base_arrived = arrived, arrived
        has_come = arrived != sender.arrived
        if has_come:
            sender.arrived, sender.arrived_at = arrived, now
            sender.has_arrived = True
            if sender.is_silent:
                # What a capture has swallowed is no loss.
                sender.is_silent = False
                sender.base_said, sender.base_arrived = sender.said or 0, arrived
        if sender.said is None:
            sender.arrived_at = now
            return
        lost = (sender.said - sender.base_said & _MASK_32) - (arrived - sender.base_arrived)
        if has_come and sender.said != sender.base_said:
            self._estimate(sender, lost)
        elif not has_come:
            needed = self._rounds_needed(sender.loss, now)
            known = max(1, needed - self._rounds_per_period)
            is_long = now - sender.arrived_at >= needed * self.round_ns
            sender.is_silent = sender.is_silent or (is_long and lost >= known)

    def _estimate(self, sender: Sender, lost: int) -> None:
        """Bring the loss up to date with a stretch in which something arrived."""
        assert sender.said is not None, "the caller has looked"
        sent = max(1, sender.said - sender.base_said & _MASK_32)
        # Below 0 too: what arrives after the heartbeat that said so is made up for by the next one.
        share = min(max(lost / sent, -1.0), 1.0)
        sender.loss += (share - sender.loss) * sent / (sender.window + sent)
        sender.window = min(sender.window + sent, LOSS_WINDOW)
        sender.base_said, sender.base_arrived = sender.said, sender.arrived or 0

    def _rounds_needed(self, loss: float, now: Instant) -> int:
        """Return how many rounds in a row are not lost by chance."""
        if _is_recent(self._sighted_at, now) or _is_recent(self._warned_at, now):
            return SIGHTED_ROUNDS
        return math.ceil(math.log(CHANCE) / math.log(min(max(loss, LOSS_MIN), LOSS_MAX)))


def _is_recent(at: Instant | None, now: Instant) -> bool:
    return at is not None and now - at < SIGHTED_NS


def _is_thinned(sender: Sender) -> bool:
    is_known = sender.window == LOSS_WINDOW and sender.beat_window >= LOSS_WINDOW // 2
    is_lost = sender.loss >= THINNED_LOSS and sender.beat_loss < sender.loss / 2
    return is_known and is_lost and not sender.is_silent


def _is_arriving(sender: Sender) -> bool:
    return sender.has_arrived and not sender.is_silent
