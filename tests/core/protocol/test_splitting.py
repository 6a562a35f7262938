# SPDX-License-Identifier: Apache-2.0
"""Splitting: partitions heal at once, and of one-way deafness no two owners hear each other.

The eight cases are those of docs/design/protocol.md: the outcome of each is asserted, limits
included.
"""

import pytest
from tests.core.protocol.bus import Bus

from wlbs.core.protocol.effects import ReportRefusal
from wlbs.core.protocol.refusal import Refusal
from wlbs.core.protocol.shares import Shares, target_of

ONE, TWO, THREE = "h1", "h2", "h3"
ALL = (1 << 4096) - 1


def holds_alone(bus: Bus, *names: str) -> bool:
    """Whether each of these has what is due if they were the whole cluster."""
    shares = Shares(bus.cluster)
    target = target_of(bus[name].index for name in names)
    return all(
        bus[name].is_live(bus.now) and bus[name].owned == shares.due(target, bus[name].index)
        for name in names
    )


@pytest.mark.parametrize("alone", [ONE, TWO, THREE])
def test_each_half_of_a_partition_serves_alone_and_healing_takes_a_moment(
    bus: Bus, alone: str
) -> None:
    rest = [name for name in (ONE, TWO, THREE) if name != alone]
    bus.split([alone], rest)
    bus.run_until(lambda: holds_alone(bus, alone) and holds_alone(bus, *rest), within_ms=310)
    bus.run(1000)
    bus.heal()
    took_ms = bus.run_until(lambda: bus.is_exact(ONE, TWO, THREE, flagged=True), within_ms=400)
    assert took_ms <= 110, "a heartbeat each way, and the hand-over"
    assert bus.violations == []


def test_connections_of_both_halves_outlive_the_healing(bus: Bus) -> None:
    bus.split([ONE], [TWO, THREE])
    bus.run(1000)
    for bucket in range(0, 4096, 64):
        for name in bus.keepers(0, bucket):
            bus[name].connections.add((0, bucket))
    counts = {name: len(bus[name].connections) for name in (ONE, TWO, THREE)}
    assert counts[ONE] == counts[TWO] + counts[THREE] == 64
    bus.heal()
    bus.run_until(lambda: bus.is_exact(ONE, TWO, THREE, flagged=True), within_ms=400)
    bus.run(3000)
    assert {name: len(bus[name].connections) for name in (ONE, TWO, THREE)} == counts
    assert bus.violations == []


def test_a_host_that_hears_none_of_several_takes_nobodys_connections_for_over(bus: Bus) -> None:
    """It may be the one that is cut off, and would reset what lives on elsewhere."""
    bus.split([ONE], [TWO, THREE])
    bus.run(5000)
    member = bus[ONE].member
    assert member is not None
    assert member.holdings.flagged_count == 4096 * len(member.holdings.held)
    bus.heal()
    bus.run_until(lambda: bus.is_exact(ONE, TWO, THREE), within_ms=4000)
    assert bus.violations == []


def deafen(bus: Bus, *, hears: bool, is_heard: bool, probed: bool, by: tuple[str, ...]) -> None:
    """Make host 1 deaf to some, or some to host 1, or take the probes between them."""
    for other in by:
        if not hears:
            bus.heartbeat_cuts.add((other, ONE))
        if not is_heard:
            bus.heartbeat_cuts.add((ONE, other))
        if not probed:
            bus.probe_cuts |= {(ONE, other), (other, ONE)}


CASES = [
    (hears, is_heard, probed)
    for hears in (True, False)
    for is_heard in (True, False)
    for probed in (True, False)
]
OF_TWO = {
    # host 1 hears 2, host 2 hears 1, probes pass: who serves, and after how many milliseconds
    (True, True, True): ([ONE, TWO], 0),
    (True, True, False): ([ONE, TWO], 0),
    (True, False, True): ([ONE], 900),
    (True, False, False): ([ONE, TWO], 900),
    (False, True, True): ([TWO], 900),
    (False, True, False): ([ONE, TWO], 900),
    (False, False, True): ([ONE], 1200),
    (False, False, False): ([ONE, TWO], 300),
}


@pytest.mark.parametrize(("hears", "is_heard", "probed"), CASES)
def test_of_two_hosts_that_hear_each_other_one_way(
    pair: Bus, *, hears: bool, is_heard: bool, probed: bool
) -> None:
    deafen(pair, hears=hears, is_heard=is_heard, probed=probed, by=(TWO,))
    serving, after_ms = OF_TWO[hears, is_heard, probed]
    pair.run_until(lambda: [each.name for each in pair.live] == serving and is_whole(pair), 1300)
    assert pair.now / 1e6 <= 310 + after_ms + 110
    pair.run(3000)
    assert [each.name for each in pair.live] == serving
    assert is_whole(pair)
    assert pair.violations == []
    pair.heal()
    pair.run_until(lambda: pair.is_exact(ONE, TWO, flagged=True), within_ms=500)
    assert pair.violations == []


def is_whole(bus: Bus) -> bool:
    owned = 0
    for machine in bus.live:
        owned |= machine.owned[0]
    return owned == ALL


@pytest.mark.parametrize(("hears", "is_heard", "probed"), CASES)
def test_of_three_hosts_two_of_which_hear_each_other_one_way_nothing_moves(
    bus: Bus, *, hears: bool, is_heard: bool, probed: bool
) -> None:
    """The third vouches for each of them."""
    deafen(bus, hears=hears, is_heard=is_heard, probed=probed, by=(TWO,))
    bus.run(3000)
    assert holds_alone(bus, ONE, TWO, THREE)
    assert bus.violations == []


@pytest.mark.parametrize(("hears", "is_heard", "probed"), CASES[2:])
def test_of_three_hosts_one_of_which_is_deaf_or_dumb_the_others_serve(
    bus: Bus, *, hears: bool, is_heard: bool, probed: bool
) -> None:
    deafen(bus, hears=hears, is_heard=is_heard, probed=probed, by=(TWO, THREE))
    bus.run_until(lambda: holds_alone(bus, TWO, THREE), within_ms=1300)
    bus.run(3000)
    assert holds_alone(bus, TWO, THREE)
    is_alone = not hears and not probed
    assert bus[ONE].is_live(bus.now) == is_alone, "only one that can know of nobody serves alone"
    assert bus.violations == []
    bus.heal()
    bus.run_until(lambda: bus.is_exact(ONE, TWO, THREE, flagged=True), within_ms=800)
    assert bus.violations == []


def test_a_deaf_host_is_refused_by_name_once(bus: Bus) -> None:
    deafen(bus, hears=False, is_heard=True, probed=True, by=(TWO, THREE))
    bus.run(3000)
    for name in (TWO, THREE):
        (report,) = bus[name].refusals
        assert report == ReportRefusal(Refusal.DEAF, f"host 1 at {bus[ONE].mac}")


def test_a_deaf_host_keeps_the_connections_it_has(bus: Bus) -> None:
    """Its clients still reach it: whoever takes its share over asks for their claims first."""
    for bucket in range(4096):
        if bus.keepers(0, bucket) == [ONE]:
            bus.connect(0, bucket)
    deafen(bus, hears=False, is_heard=True, probed=True, by=(TWO, THREE))
    bus.run(6000)
    assert holds_alone(bus, TWO, THREE)
    bus.heal()
    bus.run(3000)
    assert bus.violations == []


def test_the_most_that_clocks_may_drift_apart_is_covered_by_the_lease(bus: Bus) -> None:
    """A twentieth: one runs 2.4 % fast, the other 2.4 % slow, and the slow one falls silent."""
    fast = Bus(bus.cluster)
    fast.add(1, drift_ppm=24_000)
    fast.add(2, drift_ppm=24_000)
    fast.add(3, drift_ppm=-24_000)
    fast.start()
    fast.run(2000)
    held = fast[THREE].owned[0]
    for phase in range(5):
        fast.run(400 + 20 * phase)
        fast.split([THREE], [ONE, TWO])
        fast.run_until(lambda: bool(fast[ONE].owned[0] & held), within_ms=400)
        assert not fast[THREE].is_live(fast.now) or fast[THREE].owned[0] != held
        fast.heal()
        fast.run(3000)
    assert fast.violations == []
