# SPDX-License-Identifier: Apache-2.0
"""A sound segment on which frames are lost, in a loop of its own: fast enough for an hour of many.

Hosts are their real `Deliveries`, and their rows are put together by the real `diagnose`. A frame
passes two wires, the sender's and the receiver's, and may be lost on each: what is lost on the
first one reaches nobody. Probes and heartbeats are lost alike. Rounds begin at a phase of each
host's own, at most a millisecond late. Everybody counts all the time, so that more is judged than
members would judge that lose sight of each other. Knows nothing of members, leases or tables.
"""

import random
from collections import Counter

from wlbs.core.cluster import TIMINGS
from wlbs.core.protocol.delivering import NO_ROW, ROUNDS_PER_PERIOD, Deliveries, Row
from wlbs.core.protocol.diagnosing import Finding, diagnose
from wlbs.core.protocol.events import Instant
from wlbs.core.rules import HostIndex

TIMING = TIMINGS["default"]
LATE_NS_MAX = 1_000_000


class Station:
    """One host: what has arrived at it, what it makes of that, and what it knows of the others."""

    def __init__(self, at: int, count: int, phase_ns: int) -> None:
        """Have heard nobody."""
        self.index = HostIndex(at)
        self.phase_ns = phase_ns
        self.others = [other for other in range(count) if other != at]
        self.deliveries = Deliveries(TIMING, map(HostIndex, self.others), Instant(phase_ns))
        self.arrived = [0] * count
        self.rows = {HostIndex(other): NO_ROW for other in range(count)}
        self.lost_counts = [0] * count
        self.finding = Finding.HEALTHY


class LossySegment:
    """Hosts on a segment that floods."""

    def __init__(self, count: int, loss: float, seed: int) -> None:
        """Begin all at once, each at a phase of its own."""
        self._random = random.Random(seed)  # noqa: S311 - no secret: a seed repeats the history
        self._loss = loss
        round_ns = TIMING.period_ns // ROUNDS_PER_PERIOD
        self._stations = [
            Station(at, count, self._random.randrange(round_ns)) for at in range(count)
        ]
        self._round_ns = round_ns
        self._round_count = 0
        self.alarms: Counter[Finding] = Counter()
        """How often a host came to a finding, by the finding."""

    def run(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(round(seconds * 1e9 / self._round_ns)):
            self._round_count += 1
            began = self._round_count * self._round_ns
            draw = self._random.randrange
            turns = [(began + each.phase_ns + draw(LATE_NS_MAX), each) for each in self._stations]
            for now, station in sorted(turns, key=lambda turn: turn[0]):
                self._take_turn(station, Instant(now))

    def _take_turn(self, station: Station, now: Instant) -> None:
        self._probe(station, now)
        if (self._round_count + station.index) % ROUNDS_PER_PERIOD == 0:
            self._probe(station, now)
            self._speak(station, now)
        if station.deliveries.count(station.arrived, now):
            station.rows[station.index] = station.deliveries.row
            self._judge(station)

    def _probe(self, station: Station, now: Instant) -> None:
        station.deliveries.send(now)
        draw, loss = self._random.random, self._loss
        if draw() >= loss:
            for other in station.others:
                if draw() >= loss:
                    self._stations[other].arrived[station.index] += 1

    def _speak(self, station: Station, now: Instant) -> None:
        draw, loss = self._random.random, self._loss
        is_lost = draw() < loss
        said, row = station.deliveries.sent_count, station.deliveries.row
        for each in station.others:
            other = self._stations[each]
            if is_lost or draw() < loss:
                other.lost_counts[station.index] += 1
                continue
            lost_count, other.lost_counts[station.index] = other.lost_counts[station.index], 0
            other.deliveries.hear(station.index, said, lost_count, now)
            if other.rows[station.index] != row:
                other.rows[station.index] = row
                self._judge(other)

    def _judge(self, station: Station) -> None:
        thinned = bool(station.deliveries.thinned())
        rows: dict[HostIndex, Row] = station.rows
        finding = diagnose(rows, has_ever_flooded=True, is_thinned=thinned).finding
        if finding != station.finding:
            station.finding = finding
            self.alarms[finding] += 1
