# SPDX-License-Identifier: Apache-2.0
"""One member's part: joining, leaving, renewing, and what a change of hosts marks."""

import pytest

from wlbs.core.address import Mac
from wlbs.core.cluster import Cluster
from wlbs.core.protocol.effects import (
    EndLease,
    HoldLease,
    InstallTable,
    Refuse,
    ReportMembership,
    ReportState,
    State,
)
from wlbs.core.protocol.events import Instant, StartRequested, StopRequested, TimerFired
from wlbs.core.protocol.member import LEASE_NS, RENEWAL_NS, Member
from wlbs.core.rules import HostIndex
from wlbs.core.table import Mark

STATION = Mac.parse("52:00:00:00:00:11")
ONE, TWO, THREE = HostIndex(0), HostIndex(1), HostIndex(2)
START = Instant(1_000)


@pytest.fixture
def member(cluster: Cluster) -> Member:
    """Return host 1, serving since START."""
    member = Member(cluster, ONE, STATION, START)
    member.handle(StartRequested(ONE), START)
    return member


def test_a_member_begins_stopped_and_waits_for_nothing(cluster: Cluster) -> None:
    member = Member(cluster, ONE, STATION, START)
    assert member.state is State.STOPPED
    assert member.deadline is None
    assert member.handle(TimerFired(), Instant(10**12)) == ()
    assert member.present == {ONE, TWO, THREE}


def test_starting_installs_the_table_before_the_lease_begins(cluster: Cluster) -> None:
    member = Member(cluster, ONE, STATION, START)
    effects = member.handle(StartRequested(ONE), START)
    assert effects == (
        InstallTable(member.table),
        HoldLease(Instant(START + LEASE_NS)),
        ReportState(State.STOPPED, State.CONVERGED, "an operator said start"),
    )


def test_the_lease_is_renewed_when_due_and_not_before(member: Member) -> None:
    due = Instant(START + RENEWAL_NS)
    assert member.deadline == due
    assert member.handle(TimerFired(), Instant(due - 1)) == ()
    assert member.handle(TimerFired(), due) == (HoldLease(Instant(due + LEASE_NS)),)
    assert member.deadline == due + RENEWAL_NS


def test_stopping_ends_the_lease_first(member: Member) -> None:
    assert member.handle(StopRequested(ONE), START) == (
        EndLease(),
        ReportState(State.CONVERGED, State.STOPPED, "an operator said stop"),
    )
    assert member.deadline is None


def test_what_is_so_already_is_refused(member: Member) -> None:
    refused = [
        member.handle(StartRequested(ONE), START),
        member.handle(StartRequested(TWO), START),
        member.handle(StartRequested(HostIndex(63)), START),
        member.handle(StopRequested(HostIndex(63)), START),
    ]
    member.handle(StopRequested(ONE), START)
    refused.append(member.handle(StopRequested(ONE), START))
    assert refused == [
        (Refuse("this host is started already"),),
        (Refuse("host 2 is started already, or not of this cluster"),),
        (Refuse("host 64 is started already, or not of this cluster"),),
        (Refuse("host 64 is stopped already, or not of this cluster"),),
        (Refuse("this host is stopped already"),),
    ]


def test_what_a_stopped_host_leaves_is_taken_over_unmarked(member: Member) -> None:
    effects = member.handle(StopRequested(TWO), START)
    assert effects == (
        InstallTable(member.table),
        ReportMembership(frozenset({ONE, THREE}), "an operator stopped host 2"),
    )
    for buckets in member.table.buckets:
        assert TWO not in buckets.owners
        assert not any(buckets.marks)


def test_what_a_started_host_takes_back_is_flagged_and_remembered(member: Member) -> None:
    member.handle(StopRequested(TWO), START)
    before = member.table.buckets
    member.handle(StartRequested(TWO), START)
    after = member.table.buckets
    for old, new in zip(before, after, strict=True):
        for was, now, mark in zip(old.owners, new.owners, new.marks, strict=True):
            expected = Mark(0)
            if was != now:
                expected = Mark.FLAGGED | (Mark.EARLIER_HOLDER if was == ONE else Mark(0))
            assert mark == expected


def test_a_host_that_was_stopped_flags_its_own_buckets_when_it_returns(member: Member) -> None:
    member.handle(StopRequested(ONE), START)
    member.handle(StartRequested(ONE), START)
    for buckets in member.table.buckets:
        flagged = [mark == Mark.FLAGGED for mark in buckets.marks]
        assert flagged == [owner == ONE for owner in buckets.owners]


def test_the_default_rule_goes_to_the_highest_priority_present(cluster: Cluster) -> None:
    member = Member(cluster, THREE, STATION, START)
    assert set(member.table.buckets[-1].owners) == {ONE}
    member.handle(StopRequested(ONE), START)
    assert set(member.table.buckets[-1].owners) == {TWO}


def test_members_that_are_told_the_same_agree(cluster: Cluster) -> None:
    members = [Member(cluster, own, STATION, START) for own in (ONE, THREE)]
    for member in members:
        member.handle(StopRequested(TWO), START)
    one, three = (member.table for member in members)
    assert one.vips == three.vips
    assert [each.owners for each in one.buckets] == [each.owners for each in three.buckets]


def test_an_illegal_move_is_a_programming_error(member: Member) -> None:
    with pytest.raises(AssertionError, match="illegal move"):
        member._move(State.CONVERGED, "by mistake")
