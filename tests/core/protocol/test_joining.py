# SPDX-License-Identifier: Apache-2.0
"""Joining: hosts come at once or one by one, under load, and no bucket is ever held twice."""

import pytest
from tests.core.protocol.bus import FLIGHT_NS_MAX, MS, Bus

from wlbs.core.cluster import Cluster
from wlbs.core.protocol.effects import ReportState, State

HAND_OVER_MS = 8 * FLIGHT_NS_MAX / MS
"""Ask, be heard, be released to: three spacings and flights, and one timer that fires late."""


def moves(bus: Bus, name: str) -> list[State]:
    return [each.after for each in bus[name].told(ReportState) if isinstance(each, ReportState)]


@pytest.mark.parametrize("seed", range(5))
def test_three_that_start_at_once_converge_within_a_detection_time(
    cluster: Cluster, seed: int
) -> None:
    bus = Bus(cluster, seed=seed)
    bus.add(1, 2, 3)
    bus.start()
    took_ms = bus.run_until(lambda: bus.is_exact("h1", "h2", "h3"), within_ms=600)
    assert 300 <= took_ms <= 300 + HAND_OVER_MS
    for name in ("h1", "h2", "h3"):
        assert moves(bus, name)[:2] == [State.JOINING, State.CONVERGING]
        assert moves(bus, name)[-1] is State.CONVERGED
    assert bus.violations == []


def test_a_host_takes_its_share_from_those_that_were_there(cluster: Cluster) -> None:
    bus = Bus(cluster)
    bus.add(1, 2, 3)
    for present in (("h1",), ("h1", "h2"), ("h1", "h2", "h3")):
        bus.start(present[-1])
        held = {name: bus[name].owned[0] for name in present[:-1]}
        took_ms = bus.run_until(lambda p=present: bus.is_exact(*p, flagged=True), 600)  # type: ignore[misc]
        assert 300 <= took_ms <= 300 + HAND_OVER_MS
        for name, before in held.items():
            assert bus[name].owned[0] & ~before == 0, "no bucket moves between those that stay"
    assert bus.violations == []


def test_between_release_and_take_lies_one_flight(bus: Bus) -> None:
    """L3: a bucket without an owner loses a client's first SYN, so it must not last."""
    bus.crash("h3")
    bus.run_until(lambda: bus.is_exact("h1", "h2", flagged=True), within_ms=400)
    bus.place(bus["h3"], is_fresh=True)
    bus.start("h3")
    everything = (1 << 4096) - 1
    bus.run_until(lambda: union(bus) != everything, within_ms=600)
    assert bus.run_until(lambda: union(bus) == everything, within_ms=100) <= HAND_OVER_MS


def union(bus: Bus) -> int:
    owned = 0
    for machine in bus.live:
        owned |= machine.owned[0]
    return owned


def test_a_joiner_takes_over_flagged_and_the_flags_go_when_no_cookie_can_be_out(
    bus: Bus,
) -> None:
    """One second for the cookie (KB of none: RFC 6298, 2.1), one period to count, one to say it."""
    bus.crash("h3")
    bus.run(4000)
    bus.place(bus["h3"], is_fresh=True)
    bus.start("h3")
    bus.run_until(lambda: bus.is_exact("h1", "h2", "h3", flagged=True), within_ms=400)
    assert bus["h3"].flagged_count == sum(each.bit_count() for each in bus["h3"].owned)
    took_ms = bus.run_until(lambda: bus.is_exact("h1", "h2", "h3"), within_ms=1400)
    assert took_ms >= 990


def test_a_join_breaks_no_connection_of_those_that_were_there(cluster: Cluster) -> None:
    bus = Bus(cluster)
    bus.add(1, 2, 3)
    bus.start("h1")
    bus.run(400)
    for bucket in range(0, 4096, 16):
        assert bus.connect(0, bucket) == "h1"
    bus.start("h2", "h3")
    bus.run_until(lambda: bus.is_exact("h1", "h2", "h3", flagged=True), within_ms=400)
    bus.run(10_000)
    assert bus["h2"].flagged_count > 0
    bus["h1"].connections.clear()
    bus.run_until(lambda: bus.is_exact("h1", "h2", "h3"), within_ms=500)
    assert bus.violations == []


@pytest.mark.parametrize("loss", [0.05, 0.3])
def test_loss_delays_joining_and_spoils_nothing(cluster: Cluster, loss: float) -> None:
    bus = Bus(cluster, seed=7, loss=loss)
    bus.add(1, 2, 3)
    bus.start()
    bus.run(3000)
    bus.loss = 0
    bus.run_until(lambda: bus.is_exact("h1", "h2", "h3"), within_ms=5000)
    assert bus.violations == []


def test_a_host_whose_carrier_is_missing_joins_when_it_comes(cluster: Cluster) -> None:
    bus = Bus(cluster)
    bus.add(1, 2)
    bus.unplug("h2")
    bus.start()
    bus.run(1000)
    assert bus.live == [bus["h1"]]
    assert bus["h2"].state is State.JOINING
    bus.plug("h2")
    assert bus.run_until(lambda: bus.is_exact("h1", "h2", flagged=True), within_ms=400) >= 300
