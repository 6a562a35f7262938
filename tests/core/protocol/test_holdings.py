# SPDX-License-Identifier: Apache-2.0
"""Holdings: a bucket is let go before it is taken, and flagged while others may be in it."""

import pytest
from tests.core.protocol.said import ONE, THREE, TWO

from wlbs.core.buckets import BucketIndex
from wlbs.core.census import BUCKETS_PER_GROUP
from wlbs.core.cluster import Cluster
from wlbs.core.protocol.holdings import PENDING, Holdings
from wlbs.core.protocol.shares import ALL_BUCKETS, Shares, groups_of
from wlbs.core.table import Mark

GROUP_0 = (1 << BUCKETS_PER_GROUP) - 1


@pytest.fixture
def shares(cluster: Cluster) -> Shares:
    """Return the shares of the three hosts."""
    return Shares(cluster)


@pytest.fixture
def holdings(shares: Shares) -> Holdings:
    """Return those of host 1, fresh, whose peers have no connection anywhere."""
    holdings = Holdings(shares, ONE, (TWO, THREE), is_fresh=True)
    holdings.forget(TWO)
    holdings.forget(THREE)
    return holdings


def taken(holdings: Holdings, shares: Shares, target: int = 0b111) -> None:
    holdings.settle(shares.due(target, ONE), shares.none, acknowledged=True)


def test_nothing_is_held_at_first(holdings: Holdings, shares: Shares) -> None:
    assert holdings.held == shares.none
    assert not holdings.has_left
    assert holdings.foreign == (0, 0, 0)


def test_a_data_path_that_was_there_before_may_have_connections_anywhere(shares: Shares) -> None:
    restarted = Holdings(shares, ONE, (TWO,), is_fresh=False)
    assert restarted.has_left
    assert restarted.foreign == ((1 << 64) - 1,) * 3


def test_what_is_claimed_is_taken_once_it_is_acknowledged(
    holdings: Holdings, shares: Shares
) -> None:
    due = shares.due(0b111, ONE)
    holdings.settle(due, shares.none, acknowledged=False)
    assert holdings.held == shares.none
    holdings.settle(due, shares.none, acknowledged=True)
    assert holdings.held == due


def test_what_a_peer_claims_is_not_taken_and_is_let_go(holdings: Holdings, shares: Shares) -> None:
    due = shares.due(0b111, ONE)
    blocked = (GROUP_0, 0, 0)
    holdings.settle(due, blocked, acknowledged=True)
    assert holdings.held == (due[0] & ~GROUP_0, *due[1:])
    taken(holdings, shares)
    holdings.settle(due, blocked, acknowledged=False)
    assert holdings.held == (due[0] & ~GROUP_0, *due[1:])


def test_what_is_no_longer_due_is_let_go_unasked(holdings: Holdings, shares: Shares) -> None:
    taken(holdings, shares, 0b001)
    holdings.settle(shares.due(0b111, ONE), shares.none, acknowledged=False)
    assert holdings.held == shares.due(0b111, ONE)


def test_what_was_let_go_is_left_until_a_census_says_it_is_empty(
    holdings: Holdings, shares: Shares
) -> None:
    taken(holdings, shares)
    held = holdings.held
    holdings.let_go()
    assert holdings.held == shares.none
    assert holdings.foreign == tuple(map(groups_of, held))
    holdings.count_own((0b1, 0, 0))
    assert holdings.foreign == (0b1, 0, 0)
    assert holdings.has_left
    holdings.count_own((0, 0, 0))
    assert not holdings.has_left


def test_what_is_taken_back_is_no_longer_left(holdings: Holdings, shares: Shares) -> None:
    taken(holdings, shares)
    holdings.let_go()
    taken(holdings, shares)
    assert not holdings.has_left


def test_a_bucket_is_flagged_while_any_peer_may_be_in_it(
    holdings: Holdings, shares: Shares
) -> None:
    taken(holdings, shares)
    everything = sum(held.bit_count() for held in holdings.held)
    assert holdings.flagged_count == 0
    holdings.suspect(TWO)
    holdings.suspect(THREE)
    assert holdings.flagged_count == everything
    holdings.forget(TWO)
    assert holdings.flagged_count == everything
    holdings.count_peer(THREE, (0b1, 0, 0), 0)
    assert holdings.marks == ((holdings.held[0] & GROUP_0, 0, 0), (0, 0, 0))
    assert holdings.flagged_count == (holdings.held[0] & GROUP_0).bit_count()
    holdings.count_peer(THREE, (0, 0, 0), 0)
    assert holdings.flagged_count == 0


def test_what_a_peer_claims_it_may_have_connections_in(holdings: Holdings, shares: Shares) -> None:
    """A deaf peer goes on claiming its old share, and serving whom it has there."""
    taken(holdings, shares, 0b001)
    holdings.count_peer(TWO, (0, 0, 0), 0b111)
    assert holdings.marks[0] == shares.due(0b111, TWO)


def test_a_peer_with_another_number_of_rules_is_not_believed(holdings: Holdings) -> None:
    holdings.suspect(TWO)
    holdings.count_peer(TWO, (0, 0), 0)
    holdings.settle((ALL_BUCKETS, 0, 0), (0, 0, 0), acknowledged=True)
    assert holdings.flagged_count == ALL_BUCKETS.bit_count()


def test_the_table_shows_what_is_held_claimed_left_and_flagged(
    holdings: Holdings, shares: Shares
) -> None:
    """One bucket of each kind, as the filter will see it."""
    due = shares.due(0b111, ONE)[0]
    mine = [at for at in range(4096) if due >> at & 1]
    theirs = next(at for at in range(4096) if not due >> at & 1)
    flagged, pending = mine[0], mine[-1]
    holdings.settle((1 << theirs, 0, 0), (0, 0, 0), acknowledged=True)
    holdings.settle((due, 0, 0), (1 << pending, 0, 0), acknowledged=True)
    holdings.count_peer(TWO, (1 << flagged // BUCKETS_PER_GROUP, 0, 0), 0)
    buckets = holdings.buckets(0b111)[0]
    seen = {at: buckets[BucketIndex(at)] for at in (flagged, pending, theirs)}
    assert (seen[flagged].owner, seen[flagged].marks) == (ONE, Mark.FLAGGED)
    assert (seen[pending].owner, seen[pending].marks) == (PENDING, Mark(0))
    assert seen[theirs].owner in {TWO, THREE}
    assert seen[theirs].marks == Mark.FLAGGED | Mark.EARLIER_HOLDER


def test_a_table_with_nothing_pending_is_that_of_allocation(
    holdings: Holdings, shares: Shares
) -> None:
    taken(holdings, shares)
    assert tuple(each.owners for each in holdings.buckets(0b111)) == shares.owners(0b111)
    assert not any(any(each.marks) for each in holdings.buckets(0b111))


def test_nobody_is_asked_next_while_the_segment_floods(holdings: Holdings, shares: Shares) -> None:
    taken(holdings, shares)
    holdings.suspect(TWO)
    assert holdings.holders[0] == (ALL_BUCKETS,) * 3
    for rule in holdings.buckets(0b111):
        assert set(rule.marks) <= {0, Mark.FLAGGED}


def test_of_a_flagged_bucket_held_the_first_who_may_have_connections_is_asked(
    holdings: Holdings, shares: Shares
) -> None:
    taken(holdings, shares)
    holdings.suspect(TWO)
    holdings.suspect(THREE)
    (rule, *_) = holdings.buckets(0b111, (THREE, TWO))
    held = [rule[BucketIndex(at)] for at in range(4096) if rule.owners[at] == ONE]
    assert {(each.marks, each.next_holder) for each in held} == {(Mark.FLAGGED, TWO)}
    (rule, *_) = holdings.buckets(0b111, (THREE,))
    assert {rule[BucketIndex(at)].next_holder for at in range(4096) if rule.owners[at] == ONE} == {
        THREE
    }


def test_who_has_no_connections_in_a_bucket_is_not_asked(
    holdings: Holdings, shares: Shares
) -> None:
    taken(holdings, shares)
    holdings.suspect(THREE)
    holdings.forget(THREE)
    (rule, *_) = holdings.buckets(0b111, (TWO, THREE))
    assert set(rule.marks) == {0}, "nothing is flagged, so nobody is asked"


def test_of_a_bucket_that_was_left_only_those_behind_are_asked_and_never_its_owner(
    shares: Shares,
) -> None:
    """Indices only rise on the way, so no frame goes in a circle."""
    holdings = Holdings(shares, TWO, (ONE, THREE), is_fresh=True)
    holdings.settle(shares.due(0b010, TWO), shares.none, acknowledged=True)
    holdings.settle(shares.due(0b111, TWO), shares.none, acknowledged=True)
    (rule, *_) = holdings.buckets(0b111, (ONE, THREE))
    asked = {
        rule.owners[at]: rule[BucketIndex(at)].next_holder
        for at in range(4096)
        if rule.owners[at] != TWO
    }
    assert asked == {ONE: THREE, THREE: TWO}, "its own index: nobody"
