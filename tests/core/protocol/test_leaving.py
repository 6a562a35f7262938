# SPDX-License-Identifier: Apache-2.0
"""Leaving: drainstop finishes what there is, stop cuts, and a start in between takes it back."""

import pytest
from tests.core.protocol.bus import Bus

from wlbs.core.protocol.effects import ReportState, State
from wlbs.core.protocol.shares import groups_of

ONE, TWO, THREE = "h1", "h2", "h3"
FEW_FLIGHTS_MS = 12


def connected(bus: Bus, name: str, count: int) -> None:
    """Open connections at a machine, each in a bucket of its own."""
    buckets = [at for at in range(4096) if bus.keepers(0, at) == [name]]
    for bucket in buckets[:count]:
        bus.connect(0, bucket)


def last_move(bus: Bus, name: str) -> ReportState:
    report = bus[name].told(ReportState)[-1]
    assert isinstance(report, ReportState)
    return report


def test_one_that_drains_takes_nothing_new_at_once_and_others_do(bus: Bus) -> None:
    bus.drainstop(THREE)
    assert bus[THREE].owned == (0, 0, 0)
    bus.run_until(lambda: holds_all(bus, ONE, TWO), within_ms=FEW_FLIGHTS_MS)
    assert bus.violations == []


def holds_all(bus: Bus, *names: str) -> bool:
    owned = 0
    for name in names:
        owned |= bus[name].owned[0]
    return owned == (1 << 4096) - 1


def test_drainstop_lasts_as_long_as_the_last_connection(bus: Bus) -> None:
    connected(bus, THREE, 20)
    bus.drainstop(THREE)
    bus.run(10_000)
    assert bus[THREE].state is State.DRAINING
    assert bus[ONE].flagged_count + bus[TWO].flagged_count > 0
    while len(bus[THREE].connections) > 1:
        bus[THREE].connections.pop()
    bus.run(1000)
    assert bus[THREE].state is State.DRAINING
    bus[THREE].connections.clear()
    took_ms = bus.run_until(lambda: bus[THREE].state is State.STOPPED, within_ms=1000)
    assert took_ms <= 210, "a census under way, one more a period later"
    assert last_move(bus, THREE).because == "its last connection has ended"
    bus.run_until(lambda: bus.is_exact(ONE, TWO), within_ms=FEW_FLIGHTS_MS)
    assert bus.violations == []


def test_drainstop_without_connections_waits_for_what_a_cookie_may_bring(bus: Bus) -> None:
    bus.drainstop(THREE)
    took_ms = bus.run_until(lambda: bus[THREE].state is State.STOPPED, within_ms=1300)
    assert took_ms >= 1000


def test_flags_left_by_one_that_drains_go_with_its_connections(bus: Bus) -> None:
    """L3 without a stop: the groups that are empty are given free, one by one."""
    connected(bus, THREE, 20)
    groups = {bucket // 64 for _, bucket in bus[THREE].connections}
    bus.drainstop(THREE)
    bus.run(2000)
    flagged = bus[ONE].flagged[0] | bus[TWO].flagged[0]
    assert groups_of(flagged) == sum(1 << group for group in groups)


def test_stop_gives_everything_away_within_a_few_flights(bus: Bus) -> None:
    connected(bus, THREE, 20)
    bus.stop(THREE)
    assert not bus[THREE].is_live(bus.now)
    assert not bus[THREE].connections
    bus.run_until(lambda: bus.is_exact(ONE, TWO), within_ms=FEW_FLIGHTS_MS)
    assert bus.violations == []


def test_stop_is_heard_although_two_of_three_goodbyes_are_lost(bus: Bus) -> None:
    for hearer in (ONE, TWO):
        bus.cut(THREE, hearer)
    bus.stop(THREE)
    bus.run(150)
    bus.heal()
    bus.run_until(lambda: bus.is_exact(ONE, TWO), within_ms=100)


def test_stop_is_as_good_as_a_crash_if_no_goodbye_is_heard(bus: Bus) -> None:
    for hearer in (ONE, TWO):
        bus.cut(THREE, hearer)
    bus.stop(THREE)
    bus.run_until(lambda: bus.is_exact(ONE, TWO, flagged=True), within_ms=310)
    assert bus.violations == []


def test_one_that_was_stopped_starts_again(bus: Bus) -> None:
    bus.stop(THREE)
    bus.run(2000)
    bus.start(THREE)
    bus.run_until(lambda: bus.is_exact(ONE, TWO, THREE), within_ms=1800)
    assert bus.violations == []


def test_start_while_draining_takes_the_share_back_with_its_connections(bus: Bus) -> None:
    connected(bus, THREE, 20)
    bus.drainstop(THREE)
    bus.run(1500)
    bus.start(THREE)
    assert bus[THREE].state is State.JOINING
    bus.run_until(lambda: bus.is_exact(ONE, TWO, THREE, flagged=True), within_ms=400)
    assert len(bus[THREE].connections) == 20
    bus.run_until(lambda: bus.is_exact(ONE, TWO, THREE), within_ms=1500)
    assert bus.violations == []


@pytest.mark.parametrize("name", [ONE, TWO, THREE])
def test_each_host_in_turn_can_be_drained_stopped_and_started(bus: Bus, name: str) -> None:
    """A rolling upgrade; the other two serve, and nothing of theirs breaks."""
    for machine in (ONE, TWO, THREE):
        connected(bus, machine, 20)
    others = [each for each in (ONE, TWO, THREE) if each != name]
    bus.drainstop(name)
    bus.run(500)
    bus[name].connections.clear()
    bus.run_until(lambda: bus[name].state is State.STOPPED, within_ms=1000)
    bus.crash(name)
    bus.run(100)
    bus.place(bus[name], is_fresh=True)
    bus.start(name)
    bus.run_until(lambda: bus.is_exact(ONE, TWO, THREE, flagged=True), within_ms=400)
    assert [len(bus[each].connections) for each in others] == [20, 20]
    assert bus.violations == []


def test_the_last_host_can_leave_and_be_alone_again(bus: Bus) -> None:
    for name in (ONE, TWO):
        bus.stop(name)
    bus.run_until(lambda: bus.is_exact(THREE), within_ms=FEW_FLIGHTS_MS)
    bus.stop(THREE)
    assert bus.live == []
    bus.run(1000)
    bus.start(THREE)
    bus.run_until(lambda: bus.is_exact(THREE), within_ms=310)
