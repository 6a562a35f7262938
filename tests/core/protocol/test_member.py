# SPDX-License-Identifier: Apache-2.0
"""One member alone and among others: requests, moves, the order of effects, and its deadline.

The stories of whole clusters are in the tests beside this one, from `test_joining` on.
"""

import dataclasses

import pytest
from tests.core.protocol.bus import Bus
from tests.core.protocol.machine import Machine
from tests.core.protocol.said import NONCE, ONE, THREE, TWO, deaf, echo, mac, ms, odd, said

from wlbs.core.cluster import Cluster
from wlbs.core.protocol.effects import (
    CountConnections,
    CountDeliveries,
    EndLease,
    HoldLease,
    InstallTable,
    Refuse,
    ReportBypassers,
    ReportMembership,
    ReportRefusal,
    ReportState,
    SendDelivery,
    SendHeartbeat,
    SendProbe,
    State,
)
from wlbs.core.protocol.events import (
    BypassersFound,
    CarrierChanged,
    DrainstopRequested,
    HeartbeatReceived,
    Instant,
    ProbeAnswered,
    StartRequested,
    StopRequested,
    TimerFired,
)
from wlbs.core.protocol.member import TRANSITIONS, Member
from wlbs.core.protocol.peers import Peer
from wlbs.core.protocol.refusal import Refusal
from wlbs.core.protocol.speaking import Incarnation
from wlbs.core.protocol.wire import Heartbeat, encode

PROBE_ROUND = (SendDelivery, CountDeliveries)


@pytest.fixture
def member(cluster: Cluster) -> Member:
    """Return host 1, stopped, at 0."""
    return Member(cluster, ONE, Incarnation(mac(ONE), NONCE), ms(0))


def joined_alone(member: Member) -> tuple[object, ...]:
    """Let a member join with nobody there, and return what it asked for at the end of that."""
    member.handle(StartRequested(), ms(0))
    for at in (100, 200):
        member.handle(TimerFired(), ms(at))
    return member.handle(TimerFired(), ms(300))


def heard(cluster: Cluster, heartbeat: Heartbeat) -> HeartbeatReceived:
    return HeartbeatReceived(mac(heartbeat.host), encode(heartbeat, cluster))


def test_a_member_begins_stopped_and_waits_for_nothing(member: Member) -> None:
    assert member.state is State.STOPPED
    assert member.deadline is None
    assert (member.present, member.takes_part) == (frozenset(), False)
    assert member.table.is_stopped
    member.handle(TimerFired(), ms(10))
    assert member.deadline is None


def test_starting_is_said_and_heard_of_before_anything_is_taken(member: Member) -> None:
    report = ReportState(State.STOPPED, State.JOINING, "an operator said start")
    effects = member.handle(StartRequested(), ms(5))
    assert effects[0] == report
    assert [type(effect) for effect in effects] == [
        ReportState,
        InstallTable,
        *PROBE_ROUND,
        SendDelivery,
        SendHeartbeat,
    ]
    assert not member.table.is_stopped
    assert not member.takes_part


def test_alone_it_takes_everything_after_one_detection_time(member: Member) -> None:
    """The table is installed before the lease begins, and both before others hear of it."""
    effects = joined_alone(member)
    assert [type(effect) for effect in effects] == [
        ReportState,
        ReportMembership,
        InstallTable,
        ReportState,
        HoldLease,
        SendProbe,
        SendProbe,
        *PROBE_ROUND,
        SendDelivery,
        SendHeartbeat,
    ]
    assert effects[4] == HoldLease(Instant(ms(200) + member.cluster.timing.lease_ns))
    assert member.state is State.CONVERGED
    assert member.present == {ONE}
    assert all(set(each.owners) == {ONE} for each in member.table.buckets)


def test_the_lease_of_one_alone_follows_what_it_says(member: Member) -> None:
    joined_alone(member)
    effects = member.handle(TimerFired(), ms(400))
    lease_ns = member.cluster.timing.lease_ns
    assert effects[0] == HoldLease(Instant(ms(300) + lease_ns))


def test_a_lease_held_by_oneself_ends_when_a_peer_that_takes_part_is_heard(
    cluster: Cluster, member: Member
) -> None:
    """The other may have taken this member for deaf; only its echo says that it has not."""
    joined_alone(member)
    other = dataclasses.replace(deaf(cluster, TWO), target=0b010)
    assert EndLease() in member.handle(heard(cluster, other), ms(350))


def test_ending_comes_before_holding_anew(cluster: Cluster, member: Member) -> None:
    joined_alone(member)
    sequence = member.lease._sent[-1][0]
    other = dataclasses.replace(said(cluster, TWO), echoes=(echo(ONE, sequence),), target=0b010)
    effects = member.handle(heard(cluster, other), ms(350))
    leases = [each for each in effects if isinstance(each, EndLease | HoldLease)]
    assert leases == [EndLease(), HoldLease(Instant(ms(300) + cluster.timing.lease_ns))]


def test_what_is_so_already_is_refused(member: Member) -> None:
    stopped = Refuse("this host is stopped already")
    assert stopped in member.handle(StopRequested(), ms(0))
    assert stopped in member.handle(DrainstopRequested(), ms(0))
    joined_alone(member)
    assert Refuse("this host is started already") in member.handle(StartRequested(), ms(310))
    member.handle(DrainstopRequested(), ms(320))
    draining = Refuse("this host is draining already")
    assert draining in member.handle(DrainstopRequested(), ms(330))


def test_stopping_ends_the_lease_first_and_says_goodbye(member: Member) -> None:
    joined_alone(member)
    effects = member.handle(StopRequested(), ms(310))
    assert effects[:2] == (
        EndLease(),
        ReportState(State.CONVERGED, State.STOPPED, "an operator said stop"),
    )
    assert isinstance(effects[-1], SendHeartbeat)
    assert member.table.is_stopped
    for at in (410, 510):
        assert member.deadline == ms(at)
        assert member.handle(TimerFired(), ms(at))
    assert member.deadline is None


def test_one_that_is_stopped_says_so_to_a_newcomer(cluster: Cluster, member: Member) -> None:
    """Its data path answers probes, so silence alone would look like deafness."""
    joining = dataclasses.replace(deaf(cluster, TWO), state=State.JOINING, target=0)
    effects = member.handle(heard(cluster, joining), ms(100))
    assert isinstance(effects[-1], SendHeartbeat)
    again = dataclasses.replace(joining, sequence=2)
    assert member.handle(heard(cluster, again), ms(101)) == ()


def test_drainstop_of_one_that_has_nothing_yet_is_a_stop(member: Member) -> None:
    member.handle(StartRequested(), ms(0))
    assert EndLease() in member.handle(DrainstopRequested(), ms(10))
    assert member.state is State.STOPPED


def test_drainstop_gives_everything_away_and_keeps_its_lease(bus: Bus) -> None:
    """Connections that have not been answered yet need it: cookies are refused without."""
    bus.drainstop("h1")
    assert bus["h1"].state is State.DRAINING
    assert bus["h1"].owned == (0, 0, 0)
    bus.run(1000)
    assert bus["h1"].is_live(bus.now)


def test_one_that_drains_stops_when_it_has_no_connection_left(bus: Bus) -> None:
    bus.drainstop("h1")
    bus.run_until(lambda: bus["h1"].state is State.STOPPED, within_ms=1300)
    because = "its last connection has ended"
    assert reports(bus["h1"])[-1] == ReportState(State.DRAINING, State.STOPPED, because)


def test_a_census_is_asked_while_something_is_left(member: Member) -> None:
    joined_alone(member)
    assert CountConnections() not in member.handle(TimerFired(), ms(400))
    assert CountConnections() in member.handle(DrainstopRequested(), ms(410))
    assert CountConnections() not in member.handle(TimerFired(), ms(500))


def test_a_lost_carrier_ends_the_lease_and_regained_it_listens_first(member: Member) -> None:
    joined_alone(member)
    effects = member.handle(CarrierChanged(up=False), ms(310))
    because = "the interface has lost its carrier"
    assert effects[:2] == (EndLease(), ReportState(State.CONVERGED, State.JOINING, because))
    for at in range(400, 1500, 100):
        member.handle(TimerFired(), ms(at))
    assert not member.takes_part
    member.handle(CarrierChanged(up=True), ms(1500))
    for at in (1600, 1700):
        member.handle(TimerFired(), ms(at))
    assert not member.takes_part
    member.handle(TimerFired(), ms(1800))
    assert member.takes_part


def test_a_carrier_lost_while_joining_or_stopped_moves_nothing(member: Member) -> None:
    member.handle(CarrierChanged(up=False), ms(0))
    member.handle(CarrierChanged(up=True), ms(1))
    assert member.deadline is None
    member.handle(StartRequested(), ms(10))
    assert EndLease() in member.handle(CarrierChanged(up=False), ms(20))
    assert member.state is State.JOINING


def test_one_that_drains_and_loses_its_carrier_goes_on_draining(member: Member) -> None:
    joined_alone(member)
    member.handle(DrainstopRequested(), ms(310))
    assert EndLease() in member.handle(CarrierChanged(up=False), ms(320))
    member.handle(CarrierChanged(up=True), ms(330))
    assert member.state is State.DRAINING


def test_a_member_that_stood_still_for_a_lease_listens_anew(member: Member) -> None:
    joined_alone(member)
    assert member.deadline == ms(325), "the next probe"
    lease_ms = member.cluster.timing.lease_ns / 1_000_000
    effects = member.handle(TimerFired(), ms(325 + lease_ms + 1))
    because = "stood still for 286 ms"
    assert effects[:2] == (EndLease(), ReportState(State.CONVERGED, State.JOINING, because))


def test_a_member_that_is_a_little_late_goes_on_and_forgives(
    cluster: Cluster, member: Member
) -> None:
    joined_alone(member)
    other = dataclasses.replace(said(cluster, TWO), echoes=(echo(ONE, 1),))
    member.handle(heard(cluster, other), ms(310))
    two = member.peers.get(TWO)
    assert two is not None
    member.handle(TimerFired(), ms(400 + 150))
    assert two.heard_at > ms(310)
    assert member.takes_part


def test_the_deadline_is_never_now(member: Member) -> None:
    """Barred while its time to listen is over, a member once asked to be woken at once, forever."""
    member.handle(StartRequested(), ms(0))
    member.handle(CarrierChanged(up=False), ms(1))
    member.handle(TimerFired(), ms(1000))
    for at in range(1000, 2000):
        member.handle(TimerFired(), ms(at))
        assert member.deadline is not None
        assert member.deadline > ms(at)


def test_a_forged_answer_to_a_probe_is_refused_by_name(member: Member) -> None:
    member.handle(StartRequested(), ms(0))
    report = ReportRefusal(Refusal.FORGED, "an answer to a probe")
    assert report in member.handle(ProbeAnswered(b"yes"), ms(1))
    assert member.hearing.counts == {Refusal.FORGED: 1}


def test_a_true_answer_to_a_probe_is_taken(bus: Bus) -> None:
    bus.heartbeat_cuts = {("h2", "h1"), ("h3", "h1")}
    member = bus["h1"].member
    assert member is not None
    bus.run_until(lambda: all(peer.answered_at for peer in member.peers), within_ms=260)
    assert not member.hearing.counts


def test_news_is_echoed_at_once_and_the_rest_in_time(bus: Bus) -> None:
    h1, h2 = bus["h1"], bus["h2"]
    sent_count = len(h1.sent_at)
    bus.drainstop("h2")
    said_at = bus.now
    bus.run_until(lambda: len(h1.sent_at) > sent_count and h2.sent_at[-1] >= said_at, 10)


def test_a_heartbeat_that_is_refused_changes_nothing(bus: Bus) -> None:
    h1 = bus["h1"]
    before = h1.table
    bus.take(h1, HeartbeatReceived(mac(TWO), b"noise"))
    assert h1.table is before
    assert h1.told(ReportRefusal) == [
        ReportRefusal(Refusal.NOT_OURS, f"somebody at {mac(TWO)}"),
    ]


def test_another_configuration_of_more_hosts_makes_a_member_step_back(
    cluster: Cluster, member: Member
) -> None:
    joined_alone(member)
    member.handle(heard(cluster, odd(cluster, TWO)), ms(310))
    assert member.takes_part
    effects = member.handle(heard(cluster, odd(cluster, THREE)), ms(311))
    because = "its configuration differs from that of the hosts 2, 3"
    assert ReportState(State.CONVERGED, State.JOINING, because) in effects


def test_of_an_odd_host_nothing_is_believed_but_that_it_has_nothing(
    cluster: Cluster, member: Member
) -> None:
    joined_alone(member)
    joining = dataclasses.replace(odd(cluster, TWO), state=State.JOINING, target=0)
    member.handle(heard(cluster, joining), ms(310))
    busy = dataclasses.replace(joining, sequence=2, foreign=(1, 0, 0))
    three = dataclasses.replace(said(cluster, THREE), state=State.STOPPED, target=0)
    member.handle(heard(cluster, three), ms(311))
    assert member.holdings.flagged_count == 0
    member.handle(heard(cluster, busy), ms(312))
    assert member.holdings.flagged_count == 3 * 4096


def test_a_rival_that_takes_part_keeps_a_joining_member_out(
    cluster: Cluster, member: Member
) -> None:
    member.handle(StartRequested(), ms(0))
    rival = dataclasses.replace(said(cluster, ONE), boot_nonce=NONCE + 5)
    for at in range(1, 1000, 50):
        member.handle(heard(cluster, dataclasses.replace(rival, sequence=at)), ms(at))
        assert member.state is State.JOINING
    assert member.deadline is not None
    assert member.deadline > ms(951)


def test_all_that_is_due_and_agreement_make_converged(bus: Bus) -> None:
    bus.crash("h3")
    bus.run_until(lambda: bus.is_exact("h1", "h2", flagged=True), within_ms=400)
    for name in ("h1", "h2"):
        moves = [(at.before, at.after) for at in reports(bus[name])]
        assert moves[-2:] == [
            (State.CONVERGED, State.CONVERGING),
            (State.CONVERGING, State.CONVERGED),
        ]


def reports(machine: Machine) -> list[ReportState]:
    return [report for _, report in machine.reports if isinstance(report, ReportState)]


def test_everyone_answers_arp_while_the_resolver_is_silent(bus: Bus) -> None:
    (vip, _) = bus["h1"].table.vips
    resolver = f"h{vip.resolver + 1}"
    watcher = next(name for name in ("h1", "h2", "h3") if name != resolver)
    assert not vip.everyone_answers
    bus.crash(resolver)
    bus.run_until(lambda: bus[watcher].table.vips[0].everyone_answers, within_ms=155)


def test_every_state_can_be_left_and_only_as_the_table_says(member: Member) -> None:
    assert set(TRANSITIONS) == set(State)
    for before, allowed in TRANSITIONS.items():
        for after in State:
            member.state = before
            if after in allowed:
                assert member._move(after, "") == ReportState(before, after, "")
                continue
            with pytest.raises(AssertionError, match="illegal move"):
                member._move(after, "by mistake")


def test_a_pull_speaks_to_switches_and_is_not_read(cluster: Cluster, member: Member) -> None:
    joined_alone(member)
    pull = HeartbeatReceived(cluster.vmac, encode(said(cluster, TWO), cluster))
    member.handle(pull, ms(310))
    assert member.peers.get(TWO) == Peer(TWO, ms(0))


def test_who_could_have_sent_past_the_guard_is_told(member: Member) -> None:
    joined_alone(member)
    (report, *_) = member.handle(BypassersFound(()), ms(310))
    assert isinstance(report, ReportBypassers)


def test_who_receives_is_said_at_once(bus: Bus) -> None:
    """The stories of a captured VMAC are in `test_capturing`."""
    bus.run(1500)
    bus.leak("h2")
    bus.run_until(lambda: bus["h1"].table.receiver == TWO, within_ms=300)
