# SPDX-License-Identifier: Apache-2.0
"""Which buckets each host is due under a target: allocation as sets of buckets, kept for re-use.

A *target* is the set of hosts that share the traffic, one bit each, as heartbeats carry it. A set
of buckets is one integer of `BUCKET_COUNT` bits, so that a union or a difference over a rule is one
operation. Knows nothing of who has which target, or holds what.
"""

from collections.abc import Iterable
from typing import Final

from wlbs.core.allocation import allocate, resolver
from wlbs.core.buckets import BUCKET_COUNT
from wlbs.core.census import BUCKETS_PER_GROUP, GROUP_COUNT
from wlbs.core.cluster import Cluster
from wlbs.core.rules import HostIndex
from wlbs.core.table import NOBODY

ALL_BUCKETS: Final = (1 << BUCKET_COUNT) - 1
TARGETS_KEPT_MAX: Final = 64
"""Targets whose allocation is remembered; a cluster in motion has a handful at a time."""

_GROUP: Final = (1 << BUCKETS_PER_GROUP) - 1


class Shares:
    """The allocation of one cluster under any target; a pure function, remembered."""

    def __init__(self, cluster: Cluster) -> None:
        """Remember nothing yet."""
        self._cluster = cluster
        self._owners: dict[int, tuple[bytes, ...]] = {}
        self._resolvers: dict[int, tuple[HostIndex, ...]] = {}
        self._due: dict[tuple[int, HostIndex], tuple[int, ...]] = {}
        self._claimants: tuple[tuple[int, HostIndex], ...] = ()
        self._claimed = self.none

    @property
    def rule_count(self) -> int:
        """How many sets of buckets there are: one for each rule, and the default rule's."""
        return len(self._cluster.rules) + 1

    @property
    def none(self) -> tuple[int, ...]:
        """No bucket of any rule."""
        return (0,) * self.rule_count

    def owners(self, target: int) -> tuple[bytes, ...]:
        """Return who owns each bucket of each rule, the default rule last."""
        if target not in self._owners:
            self._make_room()
            self._owners[target] = self._allocated(target)
        return self._owners[target]

    def resolvers(self, target: int) -> tuple[HostIndex, ...]:
        """Return who answers ARP for each virtual IP; a target without hosts has nobody to."""
        if target not in self._resolvers:
            self._make_room()
            key, hosts = self._cluster.key, hosts_of(target)
            self._resolvers[target] = tuple(resolver(key, v, hosts) for v in self._cluster.vips)
        return self._resolvers[target]

    def due(self, target: int, host: HostIndex) -> tuple[int, ...]:
        """Return the buckets of each rule that a target gives to a host."""
        if not target >> host & 1:
            return self.none
        owners = self.owners(target)
        known = self._due.get((target, host))
        if known is None:
            known = tuple(owned_by(each, host) for each in owners)
            self._due[target, host] = known
        return known

    def claimed(self, claimants: tuple[tuple[int, HostIndex], ...]) -> tuple[int, ...]:
        """Return the buckets of each rule that targets give to their hosts, all together."""
        if claimants != self._claimants:
            self._claimants, self._claimed = claimants, self.none
            for target, host in claimants:
                pairs = zip(self._claimed, self.due(target, host), strict=True)
                self._claimed = tuple(some | more for some, more in pairs)
        return self._claimed

    def _make_room(self) -> None:
        if max(len(self._owners), len(self._resolvers)) >= TARGETS_KEPT_MAX:
            self._owners.clear()
            self._due.clear()
            self._resolvers.clear()

    def _allocated(self, target: int) -> tuple[bytes, ...]:
        present = hosts_of(target)
        shared: dict[tuple[int, ...], bytes] = {}
        result = []
        for rule in self._cluster.rules:
            weights = {host.index: rule.load_weight(host.index) for host in self._cluster.hosts}
            kind = tuple(weights.values())
            if kind not in shared:
                shared[kind] = allocate(self._cluster.key, weights, present)
            result.append(shared[kind])
        # What no rule covers goes to the default host, the highest priority present (KB Q198496).
        default = min(present, default=NOBODY)
        return (*result, bytes((default,)) * BUCKET_COUNT)


def hosts_of(target: int) -> frozenset[HostIndex]:
    """Return the hosts in a target."""
    return frozenset(HostIndex(at) for at in range(target.bit_length()) if target >> at & 1)


def target_of(hosts: Iterable[HostIndex]) -> int:
    """Return the target in which these hosts are."""
    return sum(1 << host for host in hosts)


def owned_by(owners: bytes, host: HostIndex) -> int:
    """Return the set of buckets that a host owns."""
    mine = bytearray(b"0" * 256)
    mine[host] = ord("1")
    return int(owners.translate(bytes(mine))[::-1], 2)


def spread(buckets: int, value: int) -> bytes:
    """Return one octet per bucket: ``value`` for those in the set, 0 for the others."""
    digits = format(buckets, f"0{BUCKET_COUNT}b")[::-1].encode()
    return digits.translate(bytes(value if at == ord("1") else 0 for at in range(256)))


def buckets_in(groups: int) -> int:
    """Return all buckets of the groups in a 64-bit map."""
    return sum(_GROUP << (at * BUCKETS_PER_GROUP) for at in range(GROUP_COUNT) if groups >> at & 1)


def groups_of(buckets: int) -> int:
    """Return the 64-bit map of the groups in which a set has a bucket."""
    return sum(1 << at for at in range(GROUP_COUNT) if buckets >> (at * BUCKETS_PER_GROUP) & _GROUP)
