# SPDX-License-Identifier: Apache-2.0
"""Failing: crash, lost carrier, stall, kill; who takes over when, and what never moves."""

import pytest
from tests.core.protocol.bus import FLIGHT_NS_MAX, MS, Bus

from wlbs.core.protocol.effects import ReportMembership, State

TWO_FLIGHTS_MS = 2 * FLIGHT_NS_MAX / MS
SPACING_MS = 3
DETECTION_MS = 300
LEASE_MS = 285

ONE, TWO, THREE = "h1", "h2", "h3"


def memberships(bus: Bus, *names: str) -> int:
    return sum(len(bus[name].told(ReportMembership)) for name in names)


@pytest.mark.parametrize("phase", range(0, 100, 20))
def test_a_dead_hosts_buckets_are_taken_within_detection_and_two_flights(
    bus: Bus, phase: int
) -> None:
    """Two survivors must hear each other's claims: one spacing more if both have just spoken."""
    bus.run(phase)
    bus.crash(THREE)
    took_ms = bus.run_until(lambda: bus.is_exact(ONE, TWO, flagged=True), within_ms=400)
    assert took_ms <= DETECTION_MS + TWO_FLIGHTS_MS + 2 * SPACING_MS
    assert bus.violations == []


def test_only_the_dead_hosts_buckets_move(bus: Bus) -> None:
    """L2: out of the full cluster nothing else moves, and shares are exact to one bucket."""
    before = {name: bus[name].owned for name in (ONE, TWO)}
    bus.crash(THREE)
    bus.run_until(lambda: bus.is_exact(ONE, TWO, flagged=True), within_ms=400)
    for name, owned in before.items():
        for was, now in zip(owned, bus[name].owned, strict=True):
            assert was & ~now == 0
        assert bus[name].owned[0].bit_count() == 2048


def test_what_a_dead_host_had_is_flagged_until_it_is_gone(bus: Bus) -> None:
    """It might come back with its connections; after three seconds nobody waits any more."""
    bus.crash(THREE)
    bus.run_until(lambda: bus.is_exact(ONE, TWO, flagged=True), within_ms=400)
    assert bus[ONE].flagged_count > 0
    took_ms = bus.run_until(lambda: bus.is_exact(ONE, TWO), within_ms=3000)
    assert took_ms >= 3000 - DETECTION_MS - 100 - TWO_FLIGHTS_MS - 2 * SPACING_MS


def test_a_lost_carrier_ends_the_lease_at_once_and_others_take_over(bus: Bus) -> None:
    bus.unplug(THREE)
    assert not bus[THREE].is_live(bus.now)
    assert bus[THREE].state is State.JOINING
    bus.run_until(lambda: bus.is_exact(ONE, TWO, flagged=True), within_ms=310)
    bus.run(2000)
    bus.plug(THREE)
    back_ms = bus.run_until(lambda: bus.is_exact(ONE, TWO, THREE, flagged=True), within_ms=400)
    assert back_ms >= DETECTION_MS
    assert bus.violations == []


@pytest.mark.parametrize("phase", range(0, 100, 20))
def test_a_stall_shorter_than_a_heartbeat_can_be_missed_moves_nothing(bus: Bus, phase: int) -> None:
    before = memberships(bus, ONE, TWO, THREE)
    bus.run(phase)
    bus.stall(THREE)
    bus.run(180)
    bus.resume(THREE)
    bus.run(500)
    assert bus.is_exact(ONE, TWO, THREE)
    assert memberships(bus, ONE, TWO, THREE) == before


@pytest.mark.parametrize("phase", range(0, 100, 20))
def test_a_stalled_hosts_lease_has_run_out_before_others_take_over(bus: Bus, phase: int) -> None:
    bus.run(phase)
    bus.stall(THREE)
    held = bus[THREE].owned[0]
    ended_ms = bus.run_until(lambda: not bus[THREE].is_live(bus.now), within_ms=LEASE_MS)
    others = [bus[ONE], bus[TWO]]
    assert not any(each.owned[0] & held for each in others)
    took_ms = bus.run_until(lambda: any(each.owned[0] & held for each in others), within_ms=150)
    assert took_ms > 0
    assert ended_ms + took_ms <= DETECTION_MS + 10
    assert bus.violations == []


def test_a_stalled_host_keeps_its_connections_and_comes_back_for_its_share(bus: Bus) -> None:
    buckets = [at for at in range(4096) if bus.keepers(0, at) == [THREE]][:50]
    for bucket in buckets:
        bus.connect(0, bucket)
    bus.stall(THREE)
    bus.run(5000)
    assert not bus[THREE].is_live(bus.now)
    bus.resume(THREE)
    assert bus[THREE].state is State.JOINING
    took_ms = bus.run_until(lambda: bus.is_exact(ONE, TWO, THREE, flagged=True), within_ms=400)
    assert took_ms >= DETECTION_MS
    assert len(bus[THREE].connections) == 50
    assert bus.violations == []


@pytest.mark.parametrize("phase", range(0, 100, 25))
@pytest.mark.parametrize(("stalled", "survivor", "times"), [(ONE, TWO, 5), (TWO, ONE, 4)])
def test_of_two_the_survivor_of_a_stall_waits_until_it_knows_that_it_is_not_deaf(
    pair: Bus, phase: int, stalled: str, survivor: str, times: int
) -> None:
    """The limit of two hosts: five detection times for the second, four for the first.

    The stalled one's data path answers, so the survivor may be the one that hears nothing. One that
    hears would have refused it and taken over by the third.
    """
    pair.run(phase)
    pair.stall(stalled)
    everything = (1 << 4096) - 1
    took_ms = pair.run_until(lambda: pair[survivor].owned[0] == everything, within_ms=1700)
    assert (times * DETECTION_MS) - 101 <= took_ms <= times * DETECTION_MS + 110
    assert pair.violations == []


def test_of_two_the_survivor_of_a_crash_waits_one_detection_time(pair: Bus) -> None:
    pair.crash(ONE)
    pair.run_until(lambda: pair.is_exact(TWO, flagged=True), within_ms=DETECTION_MS + 5)


def test_an_agent_restarted_over_its_data_path_keeps_the_connections_in_it(bus: Bus) -> None:
    """The boot nonce stays, so the new agent knows that it knows nothing of what is in there."""
    buckets = [at for at in range(4096) if bus.keepers(0, at) == [THREE]][:50]
    for bucket in buckets:
        bus.connect(0, bucket)
    bus.kill(THREE)
    bus.run(2000)
    bus.place(bus[THREE], is_fresh=False)
    bus.start(THREE)
    bus.run_until(lambda: bus.is_exact(ONE, TWO, THREE, flagged=True), within_ms=500)
    assert len(bus[THREE].connections) == 50
    bus[THREE].connections.clear()
    bus.run_until(lambda: bus.is_exact(ONE, TWO, THREE), within_ms=2000)
    assert bus.violations == []


def test_an_agent_restarted_at_once_is_believed_although_it_begins_anew(bus: Bus) -> None:
    """Its sequence goes on above what the dead agent said, so none of it looks like a replay."""
    bus.kill(THREE)
    bus.place(bus[THREE], is_fresh=False)
    bus.start(THREE)
    bus.run_until(lambda: bus.is_exact(ONE, TWO, THREE, flagged=True), within_ms=500)
    assert all(not bus[name].refusals for name in (ONE, TWO))


def test_a_host_that_was_switched_off_and_on_has_no_connections_to_wait_for(bus: Bus) -> None:
    """Its boot nonce is another one, and with its first heartbeat it says that it has nothing."""
    bus.crash(THREE)
    bus.run(400)
    assert bus[ONE].flagged_count > 0
    bus.place(bus[THREE], is_fresh=True)
    bus.start(THREE)
    bus.run_until(lambda: not bus[ONE].flagged_count, within_ms=10)
    bus.run_until(lambda: bus.is_exact(ONE, TWO, THREE), within_ms=1800)
    assert bus.violations == []


def test_all_hosts_at_once_come_back_as_one_cluster(bus: Bus) -> None:
    for name in (ONE, TWO, THREE):
        bus.stall(name)
    bus.run(2000)
    for name in (ONE, TWO, THREE):
        bus.resume(name)
    bus.run_until(lambda: bus.is_exact(ONE, TWO, THREE, flagged=True), within_ms=400)
    assert bus.violations == []
