# SPDX-License-Identifier: Apache-2.0
"""Every scenario holds in the simulated world, and every sabotage is caught by a named expectation.

A failure prints what broke; ``wlbs sim run SCENARIO --seed N --trace`` shows how.
"""

import pytest

from wlbs.core.invariants import Guarantee
from wlbs.scenario.expectations import Holds
from wlbs.scenario.library import SCENARIOS
from wlbs.sim.link import Quality
from wlbs.sim.run import run_in_sim
from wlbs.sim.sabotage import SABOTAGES
from wlbs.sim.schedule import NS_PER_MS
from wlbs.sim.world import Options

CAUGHT_BY = {
    "guard-off": Guarantee.VMAC_HIDDEN,
    "two-owners": Guarantee.ONE_OWNER,
    "arp-from-all": Holds.ARP_ONCE,
    "key-differs": "each host has 33.3% of 'affinity none', within 5 points",
    "ack-check-off": Holds.KEPT_ONCE,
    "cookie-off": "no attempt of 'burst' is refused, reset or lost",
    "flag-off": "every connection of 'meanwhile' goes on",
    "lease-off": Guarantee.STALLED_KEEPS_NOTHING,
}

SEEDS_FAILED: dict[str, tuple[int, ...]] = {}
"""Seeds of past failures by scenario; each joined in the change that mended what it had found."""

LOSSY = Quality(10_000, 2 * NS_PER_MS, lost_per_million=20_000, doubled_per_million=10_000)
"""Two frames of a hundred lost and one doubled: far worse than a wire, as bad as bad radio."""

WHATEVER_IS_LOST = {
    Holds.VMAC_UNSENT,
    Holds.VMAC_UNLEARNED,
    Guarantee.ONE_OWNER,
    Guarantee.VMAC_HIDDEN,
    Guarantee.STALLED_KEEPS_NOTHING,
}


KNOWN_TO_FAIL: dict[str, str] = {}
"""What the simulator has found and nobody has mended yet; what is mended must be taken out here."""

PLAYED = [
    pytest.param(name, marks=pytest.mark.xfail(reason=KNOWN_TO_FAIL[name], strict=True))
    if name in KNOWN_TO_FAIL
    else name
    for name in sorted(SCENARIOS)
]


@pytest.mark.parametrize("name", PLAYED)
def test_a_scenario_holds(name: str) -> None:
    for seed in (1, *SEEDS_FAILED.get(name, ())):
        report = run_in_sim(SCENARIOS[name], seed).report
        broken = [f"{each.what}: {each.seen}" for each in report.expectations if not each.held]
        assert not broken, f"seed {seed}"
        assert report.passed


@pytest.mark.parametrize("name", sorted(SABOTAGES))
def test_a_sabotage_is_caught(name: str) -> None:
    sabotage = SABOTAGES[name]
    report = run_in_sim(SCENARIOS[sabotage.caught_in], 1, Options(sabotage)).report
    assert CAUGHT_BY[name] in [each.what for each in report.expectations if not each.held]


@pytest.mark.parametrize("name", ["partition", "handover-races"])
def test_loss_and_doubling_widen_no_window(name: str) -> None:
    report = run_in_sim(SCENARIOS[name], 1, Options(quality=LOSSY)).report
    judged = [each for each in report.expectations if each.what in WHATEVER_IS_LOST]
    assert len(judged) == len(WHATEVER_IS_LOST)
    assert [each.what for each in judged if not each.held] == []


@pytest.mark.prove
@pytest.mark.parametrize("name", PLAYED)
def test_a_scenario_holds_for_many_seeds(name: str) -> None:
    failed = [seed for seed in range(2, 12) if not run_in_sim(SCENARIOS[name], seed).report.passed]
    assert not failed


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
