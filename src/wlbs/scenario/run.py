# SPDX-License-Identifier: Apache-2.0
"""Runs a scenario in a world: the one interpreter of steps.

Knows the order of things. Knows no world and judges nothing itself.
"""

from collections.abc import Callable
from typing import assert_never

from wlbs.scenario.draw import draw_flows, draw_key
from wlbs.scenario.judge import figures_of, judge
from wlbs.scenario.report import Report
from wlbs.scenario.steps import Leak, Scenario, SendFlows, Step
from wlbs.scenario.world import World


def run(
    scenario: Scenario, world: World, seed: int, on_step: Callable[[Step], None] = lambda _: None
) -> Report:
    """Carry out every step and judge what was observed; ``on_step`` hears of each step first."""
    world.begin(scenario.topology, draw_key(seed))
    drawn_count = 0
    for step in scenario.steps:
        on_step(step)
        match step:
            case SendFlows():
                world.send(draw_flows(seed, step, scenario.topology, drawn_count))
                drawn_count += step.count
            case Leak():
                world.leak(step.host)
            case _:
                assert_never(step)
    evidence = world.finish()
    return Report(
        scenario=scenario.name,
        world=world.name,
        seed=seed,
        expectations=judge(scenario, evidence),
        figures=figures_of(scenario, evidence),
    )
