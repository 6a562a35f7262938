# SPDX-License-Identifier: Apache-2.0
"""Runs a scenario in a lab of its own, and leaves nothing behind.

Knows that a lab is swept whatever happens. Knows nothing of steps or expectations.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from wlbs.lab.clients import AttemptHook
from wlbs.lab.command import require_root
from wlbs.lab.names import LabNames
from wlbs.lab.sabotage import NO_SABOTAGE, Sabotage
from wlbs.lab.sweep import sweep
from wlbs.lab.world import LabWorld
from wlbs.scenario.report import Report
from wlbs.scenario.run import run
from wlbs.scenario.steps import Scenario, Step


@dataclass(frozen=True, slots=True)
class Watch:
    """Who wants to hear of a run while it goes on; called in the caller's own thread."""

    on_step: Callable[[Step], None] = lambda _: None
    on_attempt: AttemptHook = lambda _: None


UNWATCHED: Final = Watch()


def run_in_lab(
    scenario: Scenario,
    seed: int,
    names: LabNames,
    sabotage: Sabotage = NO_SABOTAGE,
    watch: Watch = UNWATCHED,
) -> Report:
    """Build a lab, run the scenario in it, take the lab down, and return what held."""
    require_root()
    world = LabWorld(names, sabotage, watch.on_attempt)
    try:
        return run(scenario, world, seed, watch.on_step)
    finally:
        world.close()
        sweep(names.lab)
