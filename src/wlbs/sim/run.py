# SPDX-License-Identifier: Apache-2.0
"""Runs a scenario in a simulated world.

Knows that the guarantees which were watched all along belong into the report. Knows nothing of
steps or expectations.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from wlbs.scenario.report import Report
from wlbs.scenario.run import run
from wlbs.scenario.steps import Scenario, Step
from wlbs.sim.schedule import NS_PER_S
from wlbs.sim.world import SOUND_AND_QUIET, Options, SimWorld


@dataclass(frozen=True, slots=True)
class History:
    """One run: its report, and how it went."""

    report: Report
    digest: str
    """Equal for two runs of one seed, wherever they ran."""
    trace: tuple[str, ...]
    """One line per event, if that was asked for."""
    captures: Callable[[], Mapping[str, bytes]]
    """Makes a capture file for each port of the switch."""


def run_in_sim(
    scenario: Scenario,
    seed: int,
    options: Options = SOUND_AND_QUIET,
    on_step: Callable[[Step], None] = lambda _: None,
) -> History:
    """Run a scenario and return what held, the watched guarantees included."""
    world = SimWorld(seed, options)
    report = run(scenario, world, seed, on_step)
    figures = {**report.figures, "simulated_s": round(world.schedule.now / NS_PER_S, 3)}
    return History(
        report=replace(
            report, expectations=(*report.expectations, *world.checked), figures=figures
        ),
        digest=world.trace.digest,
        trace=tuple(world.trace.lines),
        captures=world.captures,
    )
