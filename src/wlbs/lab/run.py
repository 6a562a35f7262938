# SPDX-License-Identifier: Apache-2.0
"""Runs a scenario in a lab of its own, and leaves nothing behind.

Knows that a lab is swept whatever happens. Knows nothing of steps or expectations.
"""

from wlbs.lab.command import require_root
from wlbs.lab.names import LabNames
from wlbs.lab.sabotage import NO_SABOTAGE, Sabotage
from wlbs.lab.sweep import sweep
from wlbs.lab.world import AttemptHook, LabWorld
from wlbs.scenario.report import Report
from wlbs.scenario.run import run
from wlbs.scenario.steps import Scenario


def run_in_lab(
    scenario: Scenario,
    seed: int,
    names: LabNames,
    sabotage: Sabotage = NO_SABOTAGE,
    on_attempt: AttemptHook = lambda _: None,
) -> Report:
    """Build a lab, run the scenario in it, take the lab down, and return what held."""
    require_root()
    world = LabWorld(names, sabotage, on_attempt)
    try:
        return run(scenario, world, seed)
    finally:
        world.close()
        sweep(names.lab)
