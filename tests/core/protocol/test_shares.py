# SPDX-License-Identifier: Apache-2.0
"""Shares: allocation as sets of buckets, the default rule's last, and remembered within bounds."""

import dataclasses

import pytest
from tests.core.protocol.said import ONE, THREE, TWO

from wlbs.core.allocation import allocate, resolver
from wlbs.core.buckets import BUCKET_COUNT
from wlbs.core.census import BUCKETS_PER_GROUP, GROUP_COUNT
from wlbs.core.cluster import Cluster
from wlbs.core.protocol.shares import (
    ALL_BUCKETS,
    TARGETS_KEPT_MAX,
    Shares,
    buckets_in,
    groups_of,
    hosts_of,
    owned_by,
    spread,
    target_of,
)
from wlbs.core.rules import HostIndex
from wlbs.core.table import NOBODY


def test_a_target_is_a_set_of_hosts() -> None:
    assert target_of([ONE, THREE]) == 0b101
    assert hosts_of(0b101) == {ONE, THREE}
    assert hosts_of(0) == frozenset()
    assert hosts_of(target_of([HostIndex(63)])) == {63}


@pytest.mark.parametrize("target", range(1, 8))
def test_every_bucket_is_due_to_exactly_one_host_of_the_target(
    cluster: Cluster, target: int
) -> None:
    shares = Shares(cluster)
    for rule in range(shares.rule_count):
        dues = [shares.due(target, host)[rule] for host in (ONE, TWO, THREE)]
        assert sum(dues) == dues[0] | dues[1] | dues[2] == ALL_BUCKETS
        assert all(bool(target >> at & 1) or due == 0 for at, due in enumerate(dues))


def test_the_owners_are_those_of_allocation(cluster: Cluster) -> None:
    weights = {ONE: 50, TWO: 50, THREE: 50}
    owners = allocate(cluster.key, weights, frozenset((ONE, THREE)))
    shares = Shares(cluster)
    assert shares.owners(0b101) == (owners, owners, bytes(BUCKET_COUNT))
    assert shares.due(0b101, THREE)[0] == sum(1 << at for at, host in enumerate(owners) if host)


def test_rules_of_other_weights_are_shared_otherwise(cluster: Cluster) -> None:
    heavy = dataclasses.replace(cluster.rules[1], load_weights={ONE: 100, TWO: 0})
    shares = Shares(dataclasses.replace(cluster, rules=(cluster.rules[0], heavy)))
    counts = [shares.due(0b111, host)[1].bit_count() for host in (ONE, TWO, THREE)]
    assert counts == [2731, 0, 1365]
    assert shares.due(0b111, ONE)[0].bit_count() == 1366


def test_the_default_rule_goes_to_the_highest_priority_present(cluster: Cluster) -> None:
    shares = Shares(cluster)
    assert shares.due(0b110, TWO)[-1] == ALL_BUCKETS
    assert shares.due(0b110, THREE)[-1] == 0


def test_without_hosts_nobody_is_due_anything(cluster: Cluster) -> None:
    shares = Shares(cluster)
    assert shares.due(0, ONE) == shares.none == (0, 0, 0)
    assert all(set(owners) == {NOBODY} for owners in shares.owners(0))


def test_each_virtual_ip_has_a_resolver_among_the_hosts_of_the_target(cluster: Cluster) -> None:
    shares = Shares(cluster)
    for target in range(1, 8):
        resolvers = shares.resolvers(target)
        assert resolvers is shares.resolvers(target)
        hosts = hosts_of(target)
        assert resolvers == tuple(resolver(cluster.key, vip, hosts) for vip in cluster.vips)


def test_what_several_claim_is_all_that_their_targets_give_them(cluster: Cluster) -> None:
    shares = Shares(cluster)
    assert shares.claimed(()) == shares.none
    claimed = shares.claimed(((0b011, ONE), (0b111, TWO)))
    pairs = zip(shares.due(0b011, ONE), shares.due(0b111, TWO), strict=True)
    assert claimed == tuple(one | two for one, two in pairs)
    assert shares.claimed(((0b011, ONE), (0b111, TWO))) is claimed
    assert shares.claimed(((0b011, ONE),)) == shares.due(0b011, ONE)


def test_what_is_remembered_is_bounded(cluster: Cluster) -> None:
    """After 65 targets, of hosts that need not exist, the first is computed anew."""
    shares = Shares(dataclasses.replace(cluster, rules=()))
    first = shares.owners(1)
    assert shares.owners(1) is first
    assert shares.due(1, ONE) is shares.due(1, ONE)
    for target in range(1, TARGETS_KEPT_MAX + 2):
        shares.owners(target)
    assert shares.owners(1) is not first
    assert shares.owners(1) == first


def test_a_set_is_spread_to_one_octet_for_each_bucket() -> None:
    octets = spread(1 << 5 | 1 << 4095, 3)
    assert len(octets) == BUCKET_COUNT
    assert [(at, octet) for at, octet in enumerate(octets) if octet] == [(5, 3), (4095, 3)]
    assert owned_by(octets, HostIndex(3)) == 1 << 5 | 1 << 4095


def test_groups_are_sixty_four_neighbours() -> None:
    assert groups_of(1 << 63 | 1 << 64) == 0b11
    assert groups_of(0) == 0
    assert buckets_in(0b10) == ((1 << BUCKETS_PER_GROUP) - 1) << BUCKETS_PER_GROUP
    assert buckets_in((1 << GROUP_COUNT) - 1) == ALL_BUCKETS
