# SPDX-License-Identifier: Apache-2.0
"""Refusing: whoever must not be listened to is named once, and everybody else goes on (S5).

KB Q193599: two hosts with one priority, or with different rules, must not stop the cluster. KB
Q193603: each change of state is one entry in the log.
"""

import dataclasses
from itertools import pairwise

import pytest
from tests.core.protocol.bus import Bus
from tests.core.protocol.machine import Machine

from wlbs.core.cluster import TIMINGS, Cluster
from wlbs.core.protocol.effects import Effect, ReportRefusal, ReportState, State
from wlbs.core.protocol.events import HeartbeatReceived
from wlbs.core.protocol.refusal import Refusal
from wlbs.core.rules import HostIndex

ONE, TWO, THREE, RIVAL = "h1", "h2", "h3", "rival"


def refused(machine: Machine) -> set[Refusal]:
    return {each.refusal for each in machine.refusals if isinstance(each, ReportRefusal)}


def odd(cluster: Cluster) -> Cluster:
    """Return a configuration in which host 1 has twice the weight under the first rule."""
    heavy = dataclasses.replace(cluster.rules[0], load_weights={HostIndex(0): 100})
    return dataclasses.replace(cluster, rules=(heavy, *cluster.rules[1:]))


def reconfigured(bus: Bus, name: str, cluster: Cluster, *, is_fresh: bool) -> None:
    """Restart an agent with another configuration."""
    bus.kill(name)
    bus[name].cluster = cluster
    bus.place(bus[name], is_fresh=is_fresh)
    bus.start(name)


@pytest.mark.parametrize("priority", [1, 2, 3])
def test_a_second_host_with_a_priority_that_is_taken_stays_out(bus: Bus, priority: int) -> None:
    """KB Q193599, duplicate host priorities: the cluster keeps serving, the newcomer waits."""
    rival = Machine(RIVAL, bus.cluster, priority)
    bus.place(rival, is_fresh=True, boot_nonce=5_000)
    bus.start(RIVAL)
    bus.run(3000)
    assert bus.is_exact_but(RIVAL, ONE, TWO, THREE)
    assert rival.state is State.JOINING
    expected = ReportRefusal(Refusal.DUPLICATE_PRIORITY, f"host {priority} at {rival.mac}")
    for name in (ONE, TWO, THREE):
        assert bus[name].refusals == [expected]
    assert bus.violations == []


def test_it_takes_the_place_when_that_is_free(bus: Bus) -> None:
    rival = Machine(RIVAL, bus.cluster, 3)
    bus.place(rival, is_fresh=True, boot_nonce=5_000)
    bus.start(RIVAL)
    bus.run(1000)
    bus.crash(THREE)
    bus.run_until(lambda: bus.is_exact(ONE, TWO, RIVAL, flagged=True), within_ms=1100)
    assert bus.violations == []


def test_of_two_that_meet_while_both_serve_the_older_stays(bus: Bus) -> None:
    """A partition may hide one from the other; when it heals the later life gives way."""
    rival = Machine(RIVAL, bus.cluster, 3)
    bus.place(rival, is_fresh=True, boot_nonce=5_000)
    bus.split([RIVAL], [ONE, TWO, THREE])
    bus.start(RIVAL)
    bus.run(1000)
    assert bus[RIVAL].is_live(bus.now)
    bus.heal()
    bus.run_until(lambda: not bus[RIVAL].is_live(bus.now), within_ms=110)
    bus.run(2000)
    assert bus.is_exact_but(RIVAL, ONE, TWO, THREE)


@pytest.mark.parametrize("name", [ONE, TWO, THREE])
def test_a_host_with_another_configuration_is_refused_by_name_and_the_others_serve(
    bus: Bus, name: str
) -> None:
    """KB Q193599, different rules: not even the highest priority prevails against two."""
    others = [each for each in (ONE, TWO, THREE) if each != name]
    reconfigured(bus, name, odd(bus.cluster), is_fresh=True)
    bus.run(3000)
    assert bus.is_exact(*others)
    assert bus[name].state is State.JOINING
    for other in others:
        assert refused(bus[other]) == {Refusal.DIFFERENT_CONFIGURATION}
        assert len(bus[other].refusals) == 1
    assert refused(bus[name]) == {Refusal.DIFFERENT_CONFIGURATION}
    assert bus.violations == []


def test_a_host_reconfigured_over_its_data_path_keeps_its_connections(bus: Bus) -> None:
    """S2: it is refused, but not dead; its buckets go to others flagged until it has none."""
    buckets = [at for at in range(4096) if bus.keepers(0, at) == [THREE]][:50]
    for bucket in buckets:
        bus.connect(0, bucket)
    reconfigured(bus, THREE, odd(bus.cluster), is_fresh=False)
    bus.run(4000)
    assert bus.is_exact(ONE, TWO, flagged=True)
    assert bus[ONE].flagged_count > 0
    assert bus.violations == []
    bus[THREE].connections.clear()
    bus.run_until(lambda: bus.is_exact(ONE, TWO), within_ms=400)


def test_the_new_configuration_wins_with_the_second_host_that_has_it(bus: Bus) -> None:
    """A rolling change: the one left behind steps back and is named by both."""
    for name in (THREE, TWO):
        reconfigured(bus, name, odd(bus.cluster), is_fresh=True)
        bus.run(1000)
    assert [each.name for each in bus.live] == [TWO, THREE]
    assert bus[ONE].state is State.JOINING
    reconfigured(bus, ONE, odd(bus.cluster), is_fresh=True)
    bus.run_until(lambda: bus[ONE].owned[0].bit_count() == 2048, within_ms=400)
    assert bus.violations == []


def test_of_two_hosts_that_differ_the_higher_priority_serves(pair: Bus) -> None:
    reconfigured(pair, ONE, odd(pair.cluster), is_fresh=True)
    pair.run(2000)
    assert [each.name for each in pair.live] == [ONE]
    assert pair[TWO].state is State.JOINING


def test_each_change_of_state_is_told_once(bus: Bus) -> None:
    """KB Q193603: one entry for each, and each begins where the one before ended."""
    bus.stall(THREE)
    bus.run(1000)
    bus.resume(THREE)
    bus.run(1000)
    bus.drainstop(TWO)
    bus.run(2000)
    bus.start(TWO)
    bus.run(1000)
    for name in (ONE, TWO, THREE):
        reports = [each for each in bus[name].told(ReportState) if isinstance(each, ReportState)]
        states = [State.STOPPED, *(report.after for report in reports)]
        assert states[:-1] == [report.before for report in reports]
        assert all(report.because for report in reports)
        assert all(before is not after for before, after in pairwise(states))


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"name": "mail", "heartbeat_key": b"theirs"}, Refusal.FOREIGN_CLUSTER),
        ({"heartbeat_key": b"guessed"}, Refusal.FORGED),
    ],
)
def test_neither_a_neighbour_nor_a_forger_moves_anything(
    bus: Bus, change: dict[str, object], refusal: Refusal
) -> None:
    stranger = Machine(RIVAL, dataclasses.replace(bus.cluster, **change), 3)  # type: ignore[arg-type]
    tables = {name: bus[name].table for name in (ONE, TWO, THREE)}
    bus.place(stranger, is_fresh=True)
    bus.start(RIVAL)
    bus.run(3000)
    expected = ReportRefusal(refusal, f"somebody at {stranger.mac}")
    for name, table in tables.items():
        assert bus[name].table is table
        assert bus[name].refusals == [expected]


def test_every_recorded_heartbeat_sent_again_moves_nothing(bus: Bus) -> None:
    """Whoever records the segment can say again all that was said, from any address."""
    bus.crash(THREE)
    bus.run(4000)
    recorded = list(bus.recorded)
    tables = {name: bus[name].table for name in (ONE, TWO)}
    for source, data in recorded:
        for name in (ONE, TWO):
            if source.name != name:
                bus.take(bus[name], HeartbeatReceived(source.mac, data))
    bus.run(1000)
    assert {name: bus[name].table for name in (ONE, TWO)} == tables
    assert {Refusal.REPLAYED} == refused(bus[ONE]) == refused(bus[TWO])
    assert bus.is_exact(ONE, TWO)


def test_a_reborn_host_is_heard_at_once_and_its_recordings_no_more(bus: Bus) -> None:
    before = [data for source, data in bus.recorded if source.name == THREE]
    bus.crash(THREE)
    bus.place(bus[THREE], is_fresh=True)
    bus.start(THREE)
    bus.run_until(lambda: bus.is_exact(ONE, TWO, THREE, flagged=True), within_ms=400)
    table = bus[ONE].table
    for data in before:
        bus.take(bus[ONE], HeartbeatReceived(bus[THREE].mac, data))
    assert bus[ONE].table is table
    assert refused(bus[ONE]) == {Refusal.REPLAYED}


@pytest.mark.parametrize(("probed", "within_ms"), [(True, 800), (False, 3500)])
def test_a_host_whose_clock_was_set_back_returns_when_its_earlier_life_is_over(
    bus: Bus, *, probed: bool, within_ms: int
) -> None:
    """Its data path proves it under a challenge; where no probe gets through, time does."""
    if not probed:
        bus.probe_cuts = {(THREE, ONE), (THREE, TWO)}
    bus.crash(THREE)
    bus.run(100)
    bus.place(bus[THREE], is_fresh=True, boot_nonce=7)
    bus.start(THREE)
    bus.run_until(lambda: bus.is_exact(ONE, TWO, THREE, flagged=True), within_ms)
    assert Refusal.REPLAYED in refused(bus[ONE])
    assert bus.violations == []


@pytest.mark.parametrize("name", TIMINGS)
def test_heartbeats_keep_period_and_spacing_under_every_profile(
    cluster: Cluster, name: str
) -> None:
    """KB Q226377, Q232711: as configured, never more often than the spacing, whatever happens."""
    timing = TIMINGS[name]
    bus = Bus(dataclasses.replace(cluster, timing=timing))
    bus.add(1, 2, 3)
    bus.start()
    bus.run(6 * timing.detection_ns / 1e6)
    bus.crash(THREE)
    bus.run(3 * timing.detection_ns / 1e6)
    for machine in (ONE, TWO):
        sent_at = bus[machine].sent_at
        gaps = [after - before for before, after in pairwise(sent_at)]
        assert min(gaps) >= timing.period_ns * 3 // 100
        assert max(gaps) <= timing.period_ns + 200_000


@pytest.mark.parametrize("name", TIMINGS)
def test_silence_is_tolerated_as_configured_under_every_profile(
    cluster: Cluster, name: str
) -> None:
    timing = TIMINGS[name]
    bus = Bus(dataclasses.replace(cluster, timing=timing))
    bus.add(1, 2, 3)
    bus.start()
    detection_ms = timing.detection_ns / 1e6
    bus.run(2 * detection_ms)
    bus.crash(THREE)
    spacing_ms = timing.period_ns * 3 / 100 / 1e6
    took_ms = bus.run_until(
        lambda: bus.is_exact(ONE, TWO, flagged=True), detection_ms + 5 + 2 * spacing_ms
    )
    assert took_ms >= detection_ms - timing.period_ns / 1e6 - 1


def test_a_report_is_a_value_for_the_log(bus: Bus) -> None:
    reports: list[Effect] = bus[ONE].told(ReportState)
    assert reports[0] == ReportState(State.STOPPED, State.JOINING, "an operator said start")
