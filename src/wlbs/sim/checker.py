# SPDX-License-Identifier: Apache-2.0
"""Watches the guarantees while a run goes on: after every step, and at every frame.

Brings the observations to `core.invariants` and has no opinion of its own. Knows when two hosts
have heard each other, as the guarantee means it; nothing of how they agree.
"""

from collections.abc import Sequence
from typing import Final

from wlbs.core.address import MAC_SIZE, Mac
from wlbs.core.cluster import Cluster
from wlbs.core.invariants import (
    Guarantee,
    Violation,
    judge_pair,
    judge_relays,
    judge_silent,
    judge_sources,
)
from wlbs.core.table import FilterTable
from wlbs.scenario.evidence import Direction
from wlbs.scenario.report import Expectation
from wlbs.sim.host import Host
from wlbs.sim.schedule import NS_PER_S, Schedule

JUDGED: Final = (
    Guarantee.ONE_OWNER,
    Guarantee.VMAC_HIDDEN,
    Guarantee.STALLED_KEEPS_NOTHING,
    Guarantee.RELAYED_ONCE,
)
JUDGED_UNMASKED: Final = tuple(each for each in JUDGED if each is not Guarantee.VMAC_HIDDEN)
"""Of hosts that are told not to hide the VMAC. By their frames they cannot be told apart: whoever
has heard one counts as having heard all."""

VIOLATIONS_KEPT_MAX: Final = 100
"""One fault is often seen at every step that follows; the first ones tell it."""


class Checker:
    """The guarantees of one cluster."""

    def __init__(self, schedule: Schedule, cluster: Cluster, hosts: Sequence[Host]) -> None:
        """Watch these hosts, all configured as this cluster."""
        self.violations: list[tuple[int, Violation]] = []
        self._schedule = schedule
        self._vmac = cluster.vmac
        self._guarantees = JUDGED if cluster.masks_source else JUDGED_UNMASKED
        self._detection_ns = cluster.timing.detection_ns
        self._hosts = hosts
        self._heard_at: dict[tuple[Mac, Mac], int] = {}
        self._judged: dict[tuple[str, str], _JudgedPair] = {}
        self._step_count = 0
        self._frame_count = 0

    def hear(self, listener: Mac, speaker: Mac, at: int) -> None:
        """Take note of what a host heard when, now that it has done all that follows from it."""
        self._heard_at[listener, speaker] = at

    def see(self, direction: Direction, data: bytes) -> None:
        """Judge a frame at a switch port."""
        self._frame_count += 1
        is_suspect = data[MAC_SIZE : 2 * MAC_SIZE] == self._vmac.octets
        if direction is Direction.FROM_NODE and is_suspect:
            self._add(judge_sources(self._vmac, [data]))

    def step(self) -> None:
        """Judge what the hosts hold now."""
        self._step_count += 1
        keeping = [each for each in self._hosts if each.kernel and each.kernel.lease_live]
        for at, host in enumerate(keeping):
            self._judge_silence(host)
            for other in keeping[at + 1 :]:
                violations = self._judge_pair(host, other)
                if violations and self._hear_each_other(host, other):
                    self._add(violations)

    def expectations(self, origin_ns: int) -> tuple[Expectation, ...]:
        """Return each guarantee as an expectation that held, or broke for the first time."""
        return tuple(self._expectation(each, origin_ns) for each in self._guarantees)

    def _expectation(self, guarantee: Guarantee, origin_ns: int) -> Expectation:
        broken = [(at, each) for at, each in self.violations if each.guarantee is guarantee]
        at = broken[0][0] if broken else int(self._schedule.now)
        seen = f"{self._step_count} steps, {self._frame_count} frames"
        seen = f"first of {len(broken)}: {broken[0][1].seen}" if broken else seen
        held = bool(self._step_count) and not broken
        return Expectation(str(guarantee), (at - origin_ns) / NS_PER_S, held, seen)

    def _judge_silence(self, host: Host) -> None:
        ran_at = host.agent.last_ran if host.agent else host.agent_ended_at
        silence_ns = self._schedule.now - ran_at
        self._add(judge_silent(host.own, silence_ns, self._detection_ns))

    def _hear_each_other(self, one: Host, other: Host) -> bool:
        """Whether both have heard the other within the last detection time."""
        since = self._schedule.now - self._detection_ns
        pairs = ((one.shown_mac, other.shown_mac), (other.shown_mac, one.shown_mac))
        return all(self._heard_at.get(pair, -1) >= max(since, 0) for pair in pairs)

    def _judge_pair(self, one: Host, other: Host) -> tuple[Violation, ...]:
        """Judge two tables, or remember what was said of these very two."""
        assert one.kernel is not None, "only hosts with a live lease are judged"
        assert other.kernel is not None, "only hosts with a live lease are judged"
        tables = one.kernel.table, other.kernel.table
        if tables[0] is None or tables[1] is None:
            return ()
        known = self._judged.get((one.node.name, other.node.name))
        if known is None or known.tables[0] is not tables[0] or known.tables[1] is not tables[1]:
            one_table, other_table = tables[0], tables[1]
            relays = judge_relays(one_table, other_table) + judge_relays(other_table, one_table)
            known = _JudgedPair(
                (one_table, other_table), judge_pair(one_table, other_table) + relays
            )
            self._judged[one.node.name, other.node.name] = known
        return known.violations

    def _add(self, violations: tuple[Violation, ...]) -> None:
        for each in violations:
            if len(self.violations) < VIOLATIONS_KEPT_MAX:
                self.violations.append((int(self._schedule.now), each))


class _JudgedPair:
    """Two tables, and what was said of them."""

    __slots__ = ("tables", "violations")

    def __init__(
        self, tables: tuple[FilterTable, FilterTable], violations: tuple[Violation, ...]
    ) -> None:
        self.tables = tables
        self.violations = violations
