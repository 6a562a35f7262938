# SPDX-License-Identifier: Apache-2.0
"""One host's part in the cluster: who is present, which table follows, how long it holds.

Theory of operation. The hosts the operator listed count as present until the operator says
`stop`; nothing is sent or heard yet. From the present hosts, and from nothing else, follows the
table (`allocation`), so hosts that are told the same hold equal tables.

A host serves while it is CONVERGED and its lease is live. The lease is renewed well before it runs
out; when the agent stalls or dies the kernel takes no new flow after `LEASE_NS`. When a bucket
returns to a host that was started again, its present holder may have connections in it: the
bucket is flagged, so that each segment is kept by the host whose socket claims it. When a host is
stopped its connections are cut, so what others take over from it needs no flag.

Knows nothing of sockets, clocks, threads or logs: time arrives as ``now``, everything else as an
event, and every consequence leaves as an effect.
"""

from collections.abc import Mapping
from typing import Final, assert_never

from wlbs.core.address import Mac
from wlbs.core.allocation import allocate, resolver
from wlbs.core.buckets import BUCKET_COUNT
from wlbs.core.cluster import Cluster
from wlbs.core.protocol.effects import (
    Effect,
    EndLease,
    HoldLease,
    InstallTable,
    Refuse,
    ReportMembership,
    ReportState,
    State,
)
from wlbs.core.protocol.events import Event, Instant, StartRequested, StopRequested, TimerFired
from wlbs.core.rules import HostIndex
from wlbs.core.table import Buckets, FilterTable, Mark, Vip

LEASE_NS: Final = 1_000_000_000
"""How long a host serves on after its agent's last sign of life; with static membership nobody
takes over, so this only bounds how long a dead agent goes unnoticed in the data path."""

RENEWAL_NS: Final = LEASE_NS // 4
"""Three renewals may be late before the lease runs out; the worst timer delay measured beside six
busy loops on two cores was 13 ms."""

TRANSITIONS: Final[Mapping[State, frozenset[State]]] = {
    State.STOPPED: frozenset({State.CONVERGED}),
    State.CONVERGED: frozenset({State.STOPPED}),
}


class Member:
    """The protocol of one cluster member, free of I/O."""

    def __init__(self, cluster: Cluster, own: HostIndex, station_mac: Mac, now: Instant) -> None:
        """Begin as STOPPED with every listed host present; `StartRequested` for own joins."""
        self.state = State.STOPPED
        self._cluster = cluster
        self._own = own
        self._station_mac = station_mac
        self._present = {host.index for host in cluster.hosts}
        self._buckets: tuple[Buckets, ...] = ()
        self._renewed_at = now

    @property
    def deadline(self) -> Instant | None:
        """The next moment at which silence alone would change something."""
        if self.state is State.STOPPED:
            return None
        return Instant(self._renewed_at + RENEWAL_NS)

    @property
    def present(self) -> frozenset[HostIndex]:
        """The hosts that count as present."""
        return frozenset(self._present)

    @property
    def table(self) -> FilterTable:
        """The table that follows from the present hosts."""
        hosts = self.present
        return FilterTable(
            own=self._own,
            vmac=self._cluster.vmac,
            station_mac=self._station_mac,
            masked_mac=self._station_mac,
            key=self._cluster.key,
            vips=tuple(
                Vip(address, resolver(self._cluster.key, address, hosts))
                for address in self._cluster.vips
            ),
            rules=self._cluster.rules,
            buckets=self._buckets or self._allocated(),
        )

    def handle(self, event: Event, now: Instant) -> tuple[Effect, ...]:
        """Take one event and return what must now be done, in this order."""
        match event:
            case TimerFired():
                return self._on_timer(now)
            case StopRequested(host):
                return self._on_stop(host)
            case StartRequested(host):
                return self._on_start(host, now)
            case _:
                assert_never(event)

    def _on_timer(self, now: Instant) -> tuple[Effect, ...]:
        deadline = self.deadline
        if deadline is None or now < deadline:
            return ()
        return (self._renew(now),)

    def _on_stop(self, host: HostIndex) -> tuple[Effect, ...]:
        if host == self._own:
            if self.state is State.STOPPED:
                return (Refuse("this host is stopped already"),)
            return (EndLease(), self._move(State.STOPPED, "an operator said stop"))
        if host not in self._present:
            return (Refuse(f"host {host + 1} is stopped already, or not of this cluster"),)
        self._present.remove(host)
        return self._reallocate(f"an operator stopped host {host + 1}", flagged=False)

    def _on_start(self, host: HostIndex, now: Instant) -> tuple[Effect, ...]:
        if host == self._own:
            if self.state is State.CONVERGED:
                return (Refuse("this host is started already"),)
            moved = self._move(State.CONVERGED, "an operator said start")
            self._buckets = _rejoin(self._buckets, self._own) or self._allocated()
            return (InstallTable(self.table), self._renew(now), moved)
        if host in self._present or host not in {each.index for each in self._cluster.hosts}:
            return (Refuse(f"host {host + 1} is started already, or not of this cluster"),)
        self._present.add(host)
        return self._reallocate(f"an operator started host {host + 1}", flagged=True)

    def _reallocate(self, because: str, *, flagged: bool) -> tuple[Effect, ...]:
        before = self._buckets or self._allocated()
        after = self._allocated()
        pairs = zip(before, after, strict=True)
        self._buckets = tuple(_succeed(old, new, self._own, flagged=flagged) for old, new in pairs)
        return (InstallTable(self.table), ReportMembership(self.present, because))

    def _allocated(self) -> tuple[Buckets, ...]:
        """Return unmarked buckets for every rule, the default rule last."""
        listed = [host.index for host in self._cluster.hosts]
        shared = [
            Buckets(
                allocate(
                    self._cluster.key,
                    {host: rule.load_weight(host) for host in listed},
                    self.present,
                )
            )
            for rule in self._cluster.rules
        ]
        # What no rule covers goes to the default host, the highest priority present (KB Q198496).
        return (*shared, Buckets(bytes((min(self._present),)) * BUCKET_COUNT))

    def _renew(self, now: Instant) -> HoldLease:
        self._renewed_at = now
        return HoldLease(Instant(now + LEASE_NS))

    def _move(self, after: State, because: str) -> ReportState:
        before = self.state
        assert after in TRANSITIONS[before], f"illegal move {before} -> {after}"
        self.state = after
        return ReportState(before, after, because)


def _succeed(old: Buckets, new: Buckets, own: HostIndex, *, flagged: bool) -> Buckets:
    """Return the new buckets with the old marks, and with those that moving them asks for."""
    marks = bytearray(old.marks)
    if flagged:
        for index, (before, after) in enumerate(zip(old.owners, new.owners, strict=True)):
            if before != after:
                marks[index] |= Mark.FLAGGED
                if before == own:
                    marks[index] |= Mark.EARLIER_HOLDER
    return Buckets(new.owners, bytes(marks))


def _rejoin(buckets: tuple[Buckets, ...], own: HostIndex) -> tuple[Buckets, ...]:
    """Return the buckets of a host that was stopped: others may hold connections in its own."""
    return tuple(
        Buckets(
            each.owners,
            bytes(
                mark | (Mark.FLAGGED if owner == own else 0)
                for owner, mark in zip(each.owners, each.marks, strict=True)
            ),
        )
        for each in buckets
    )
