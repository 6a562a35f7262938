# SPDX-License-Identifier: Apache-2.0
"""`wlbs demo`: the story of KB Q258609, from the outage to why it cannot happen here.

Knows how runs follow each other, on a terminal and without one. What is told is in `story`; what
runs are scenarios of the library, in the lab, or where there is no root or no Linux in the
simulator. Nothing is put on for show.
"""

import os
import sys
from collections.abc import Callable
from typing import Final

import click

from wlbs.cli.commands.lab import lab_of_this_process
from wlbs.cli.exits import Exit
from wlbs.cli.runs import draw_seed
from wlbs.cli.screen import Score, Screen, Table, picture, ports_of
from wlbs.cli.story import STORY, Part, chapter_of, findings, summary, words_of
from wlbs.lab.recorder import switch_table
from wlbs.lab.run import Watch, run_in_lab
from wlbs.scenario.report import Report
from wlbs.scenario.steps import EndAttempts, Step
from wlbs.scenario.topology import SWITCH
from wlbs.sim.run import run_in_sim

Play = Callable[[Part, int], Report]
"""Carries out one part of the story with a seed, and shows it meanwhile."""

BUILDING: Final = "building three hosts, two clients and a switch; starting agents ..."
JUDGING: Final = "taking it down; judging what was captured at the switch's ports ..."


@click.command()
@click.option("--seed", type=click.IntRange(0), default=None, help="Repeat the demo of this seed.")
def demo(seed: int | None) -> int:
    """Show how one frame cuts a cluster off, and what this cluster does about it.

    Builds whole clusters out of network namespaces on this machine, takes less than a minute and
    leaves nothing behind. Without root, or elsewhere than on Linux, the simulator tells the same
    story. Exit status 0 only if every expectation held.
    """
    drawn = draw_seed(seed)
    play = _play_here()
    click.echo(picture(STORY[0].scenario.topology))
    reports = {}
    for part in STORY:
        click.echo(f"\n--- {part.set_up}")
        report = play(part, drawn)
        reports[report.scenario] = report
        click.echo("\n".join(findings(part, report)))
    click.echo()
    click.echo("\n".join(summary(reports)))
    passed = all(report.passed for report in reports.values())
    click.echo("every expectation held" if passed else "not every expectation held")
    click.echo(f"repeat it with: wlbs demo --seed {drawn}")
    click.echo("look around in a cluster yourself with: wlbs lab up")
    return Exit.OK if passed else Exit.FAILED


def _play_here() -> Play:
    """Return how the story is shown to whoever looks, as well as this machine can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        click.echo("a real cluster needs Linux and root (type it again with sudo in front);")
        click.echo("this is the simulator: the same story, in its own time\n")
        return _simulated
    return _shown_live if sys.stdout.isatty() else _shown_plainly


def _simulated(part: Part, seed: int) -> Report:
    _open(part)
    return run_in_sim(part.scenario, seed, on_step=lambda step: _tell(part, step)).report


def _shown_plainly(part: Part, seed: int) -> Report:
    topology = part.scenario.topology
    score = Score(topology)

    def on_step(step: Step) -> None:
        is_over = step == _last_look(part)
        if chapter_of(part, step) or words_of(step) or is_over:
            click.echo("\n".join(f"    {line}" for line in score.bars()))
            click.echo(f"    {ports_of(_read_table(), topology)}")
        _tell(part, step)
        if is_over:
            click.echo(JUDGING)

    click.echo(BUILDING)
    _open(part)
    watch = Watch(on_step, score.attempt)
    return run_in_lab(part.scenario, seed, lab_of_this_process(), watch=watch)


def _shown_live(part: Part, seed: int) -> Report:
    from rich.live import Live  # noqa: PLC0415 - slow to import, and only for terminals

    first = part.chapters[0]
    with Live(auto_refresh=False) as live:
        screen = Screen(live, part.scenario.topology, _read_table)

        def on_step(step: Step) -> None:
            chapter = chapter_of(part, step)
            if chapter:
                screen.tell(chapter.title, chapter.words)
            elif step == part.scenario.steps[0]:
                screen.tell(first.title, first.words)
            elif words_of(step):
                screen.tell("", words_of(step))
            elif step == _last_look(part):
                screen.tell("", JUDGING)

        screen.tell(first.title, BUILDING)
        watch = Watch(on_step, screen.attempt)
        return run_in_lab(part.scenario, seed, lab_of_this_process(), watch=watch)


def _open(part: Part) -> None:
    first = part.chapters[0]
    click.echo(f"{first.title}\n{first.words}")


def _tell(part: Part, step: Step) -> None:
    chapter = chapter_of(part, step)
    if chapter:
        click.echo(f"{chapter.title}\n{chapter.words}")
    elif words_of(step):
        click.echo(words_of(step))


def _last_look(part: Part) -> Step:
    """Return the step after which nothing happens that one would look at."""
    return next(step for step in part.scenario.steps if isinstance(step, EndAttempts))


def _read_table() -> Table:
    return switch_table(lab_of_this_process(), SWITCH)
