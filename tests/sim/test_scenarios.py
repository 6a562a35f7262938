# SPDX-License-Identifier: Apache-2.0
"""Every scenario holds in the simulated world, and every sabotage is caught by a named expectation.

A failure prints what broke; ``wlbs sim run SCENARIO --seed N --trace`` shows how.
"""

import pytest

from wlbs.core.invariants import Guarantee
from wlbs.scenario.expectations import Holds
from wlbs.scenario.library import SCENARIOS
from wlbs.scenario.topology import Topology
from wlbs.sim.link import Quality
from wlbs.sim.run import run_in_sim
from wlbs.sim.sabotage import SABOTAGES
from wlbs.sim.schedule import NS_PER_MS
from wlbs.sim.swarm import drawn_scenario
from wlbs.sim.world import SOUND_AND_QUIET, Options

CAUGHT_BY = {
    "guard-off": Guarantee.VMAC_HIDDEN,
    "two-owners": Guarantee.ONE_OWNER,
    "arp-from-all": Holds.ARP_ONCE,
    "key-differs": "each host has 33.3% of 'affinity none', within 5 points",
    "ack-check-off": Holds.KEPT_ONCE,
    "cookie-off": "no attempt of 'burst' is refused, reset or lost",
    "flag-off": "every connection of 'meanwhile' goes on",
    "lease-off": Guarantee.STALLED_KEEPS_NOTHING,
    "relay-off": "all are served again within 300 ms of 'leak'",
    "detect-off": "all are served again within 300 ms of 'leak'",
    "attribution-wrong": "h2 tells within 1 s of 'leak' of 'netmon (process' and 'past the guard'",
}

FAILED = [("stall-swap", 3), ("stall-swap", 4), ("crash", 4)]
"""Seeds of past failures; each joined in the change that mended what it had found. stall-swap: a
peer that had been given up counted again because it answered probes, and the last host that spoke
was without a lease. crash: the world said it had begun when one host still held everything."""

LONG = {
    "handover-races",
    "rolling",
    "stall",
    "stall-kill",
    "q258609-heal",
    "show-nt4",
    "show-heal",
    "show-stealth",
}
"""Scenarios that take as long as several others; the demo's are played by its own tests."""

LOSSY = Quality(10_000, 2 * NS_PER_MS, lost_per_million=20_000, doubled_per_million=10_000)
"""Two frames of a hundred lost and one doubled: far worse than a wire, as bad as bad radio."""

WHATEVER_IS_LOST = {
    Holds.VMAC_UNSENT,
    Holds.VMAC_UNLEARNED,
    Guarantee.ONE_OWNER,
    Guarantee.VMAC_HIDDEN,
    Guarantee.STALLED_KEEPS_NOTHING,
}


def broken(name: str, seed: int, options: Options = SOUND_AND_QUIET) -> list[str]:
    report = run_in_sim(SCENARIOS[name], seed, options).report
    return [f"{each.what}: {each.seen}" for each in report.expectations if not each.held]


def with_long_ones_marked(named: dict[str, str]) -> list[object]:
    """Return each name as a parameter; those that play a long scenario wait for `make prove`."""
    return [
        pytest.param(name, marks=[pytest.mark.prove] if scenario in LONG else [])
        for name, scenario in sorted(named.items())
    ]


@pytest.mark.parametrize("name", with_long_ones_marked({name: name for name in SCENARIOS}))
def test_a_scenario_holds(name: str) -> None:
    assert broken(name, 1) == []


@pytest.mark.prove
@pytest.mark.parametrize(("name", "seed"), FAILED)
def test_what_failed_once_holds(name: str, seed: int) -> None:
    assert broken(name, seed) == []


@pytest.mark.parametrize(
    "name", with_long_ones_marked({each.name: each.caught_in for each in SABOTAGES.values()})
)
def test_a_sabotage_is_caught(name: str) -> None:
    sabotage = SABOTAGES[name]
    told = broken(sabotage.caught_in, 1, Options(sabotage))
    assert any(each.startswith(f"{CAUGHT_BY[name]}: ") for each in told), told


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_loss_and_doubling_widen_no_window(seed: int) -> None:
    scenario = drawn_scenario(seed, Topology())
    report = run_in_sim(scenario, seed, Options(quality=LOSSY)).report
    judged = [each for each in report.expectations if each.what in WHATEVER_IS_LOST]
    assert len(judged) == len(WHATEVER_IS_LOST)
    assert [each.what for each in judged if not each.held] == []


@pytest.mark.prove
@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_a_scenario_holds_for_many_seeds(name: str) -> None:
    assert {seed: told for seed in range(2, 12) if (told := broken(name, seed))} == {}


@pytest.mark.prove
@pytest.mark.parametrize(
    ("name", "caught_by"),
    [
        ("flag-off", "every connection of 'lasting' goes on"),
        ("lease-off", "what h2 held is kept by others only after its last new flow"),
    ],
)
def test_a_hand_over_shows_what_flags_and_leases_are_for(name: str, caught_by: str) -> None:
    report = run_in_sim(SCENARIOS["handover-races"], 1, Options(SABOTAGES[name])).report
    assert caught_by in [each.what for each in report.expectations if not each.held]
