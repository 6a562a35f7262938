# SPDX-License-Identifier: Apache-2.0
"""`wlbs demo`: three hosts serve one address, one dies and comes back, and all of it is judged.

Knows how a run is shown, on a terminal and without one. What runs is the scenario `show`: in the
lab, or where there is no root or no Linux in the simulator. Nothing is put on for show.
"""

import os
import sys
import time
from collections import Counter, deque
from typing import TYPE_CHECKING, Final

import click

from wlbs.cli.commands.lab import lab_of_this_process
from wlbs.cli.exits import Exit
from wlbs.cli.runs import draw_seed
from wlbs.lab.recorder import switch_table
from wlbs.lab.run import Watch, run_in_lab
from wlbs.scenario.evidence import Attempt
from wlbs.scenario.library import SCENARIOS
from wlbs.scenario.report import Report
from wlbs.scenario.steps import (
    BeginAttempts,
    CloseConnections,
    OpenConnections,
    SendFlows,
    SendFrom,
    SetCarrier,
    Step,
)
from wlbs.scenario.topology import SWITCH, Topology
from wlbs.sim.run import run_in_sim

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

REDRAW_S: Final = 0.1
"""Ten pictures a second look live, and leave the processors to the cluster."""

TABLE_S: Final = 0.5
"""Reading the switch's table starts a process; twice a second is often enough to see it."""

BAR_WIDTH: Final = 30


RECENT_S: Final = 1.0
"""Bars show who answered in the last second, so that one sees a host go and come back."""

SCENARIO: Final = SCENARIOS["show"]


@click.command()
@click.option("--seed", type=click.IntRange(0), default=None, help="Repeat the demo of this seed.")
def demo(seed: int | None) -> int:
    """Show three hosts serving one address while one of them dies and comes back.

    Builds the whole cluster out of network namespaces on this machine, takes some 25 seconds and
    leaves nothing behind. Without root, or elsewhere than on Linux, the simulator tells the same
    story. Exit status 0 only if every expectation held.
    """
    drawn = draw_seed(seed)
    if sys.platform != "linux" or os.geteuid() != 0:
        report = _simulated(drawn)
    elif sys.stdout.isatty():
        report = _shown_live(drawn)
    else:
        report = _shown_plainly(drawn)
    click.echo(_summary(report))
    return Exit.OK if report.passed else Exit.FAILED


def words_of(step: Step) -> str:
    """Return what a step does, in the words of a story; nothing for what goes without saying."""
    words = ""
    match step:
        case SendFlows():
            words = f"{step.count} requests of clients to port {step.server_port}"
        case OpenConnections():
            words = f"{step.count} connections are opened that will last"
        case BeginAttempts():
            whose = f", to {step.aimed_at}'s buckets" if step.aimed_at else ""
            words = f"a new connection every {step.interval_s * 1000:g} ms from now on{whose}"
        case SendFrom():
            words = f"{step.node} leaks a frame with the cluster's MAC as its source"
        case SetCarrier(up=False):
            words = f"{step.host} is lost: its cable is pulled"
        case SetCarrier():
            words = f"{step.host} is back"
        case CloseConnections():
            words = "clients close the connections that lasted"
    return words


class Progress:
    """What has happened so far, for whoever draws it."""

    def __init__(self, topology: Topology) -> None:
        """Begin with nothing."""
        self.topology = topology
        self.doing = "building three hosts, two clients and a switch"
        self.answers: Counter[str] = Counter()
        self.failed_count = 0
        self._recent: deque[tuple[float, str]] = deque()

    def step(self, step: Step) -> bool:
        """Take note of what is being done; whether it is worth telling."""
        words = words_of(step)
        self.doing = words or self.doing
        return bool(words)

    def attempt(self, attempt: Attempt) -> None:
        """Count an answer."""
        if attempt.answered_by is None:
            self.failed_count += 1
            return
        self.answers[attempt.answered_by] += 1
        self._recent.append((attempt.at_s, attempt.answered_by))
        while self._recent[0][0] < attempt.at_s - RECENT_S:
            self._recent.popleft()

    def bars(self) -> list[str]:
        """Return one bar for each host, as long as its part of the latest answers."""
        recent = Counter(host for _, host in self._recent)
        total = max(recent.total(), 1)
        lines = []
        for host in self.topology.hosts:
            part = recent[host.name] / total
            bar = "#" * round(part * BAR_WIDTH)
            lines.append(f"{host.name} {bar:{BAR_WIDTH}} {part:6.1%} {self.answers[host.name]:6}")
        return lines


def picture(topology: Topology) -> str:
    """Return the topology as it would be drawn on paper."""
    hosts = "   ".join(f"[{host.name} {host.address}]" for host in topology.hosts)
    clients = "   ".join(f"[{client.name} {client.address}]" for client in topology.clients)
    return "\n".join(
        (
            f"  {hosts}",
            f"  every host: {topology.vip} at {topology.vmac}",
            "        |   the switch knows no port for that address, so it floods",
            "      [s1]",
            "        |",
            f"  {clients}",
        )
    )


def _shown_plainly(seed: int) -> Report:
    progress = Progress(SCENARIO.topology)
    click.echo(picture(SCENARIO.topology))
    click.echo(progress.doing)
    watch = Watch(lambda step: _tell(progress, step), progress.attempt)
    report = run_in_lab(SCENARIO, seed, lab_of_this_process(), watch=watch)
    for line in progress.bars():
        click.echo(line)
    return report


def _simulated(seed: int) -> Report:
    click.echo("a real cluster needs Linux and root (type it again with sudo in front);")
    click.echo("this is the simulator: the same story, in its own time\n")
    progress = Progress(SCENARIO.topology)
    click.echo(picture(SCENARIO.topology))
    return run_in_sim(SCENARIO, seed, on_step=lambda step: _tell(progress, step)).report


def _tell(progress: Progress, step: Step) -> None:
    if progress.step(step):
        click.echo(progress.doing)


class Screen:
    """The live picture: redrawn when something happened, at most every `REDRAW_S`."""

    def __init__(self, live: "Live", progress: Progress) -> None:
        """Draw on a live display."""
        self._live = live
        self._progress = progress
        self._drawn_at = 0.0
        self._read_at = 0.0
        self._table = "(empty)"

    def step(self, step: Step) -> None:
        """Show what is being done now."""
        self._progress.step(step)
        self._draw(is_due=True)

    def attempt(self, attempt: Attempt) -> None:
        """Show an answer, at the next redraw."""
        self._progress.attempt(attempt)
        self._draw(is_due=False)

    def finish(self) -> None:
        """Show the last answers; the switch is gone, its table stays as it was last read."""
        self._live.update(drawing(self._progress, self._table), refresh=True)

    def _draw(self, *, is_due: bool) -> None:
        now = time.monotonic()
        if now - self._read_at > TABLE_S:
            self._read_at = now
            entries = sorted(
                switch_table(lab_of_this_process(), SWITCH), key=lambda entry: entry[1]
            )
            self._table = "\n".join(f"{mac}  {port}" for mac, port in entries)
        if is_due or now - self._drawn_at > REDRAW_S:
            self._drawn_at = now
            self._live.update(drawing(self._progress, self._table), refresh=True)


def drawing(progress: Progress, table: str) -> "RenderableType":
    """Return the whole picture."""
    from rich.columns import Columns  # noqa: PLC0415 - slow to import, and only for terminals
    from rich.console import Group  # noqa: PLC0415
    from rich.panel import Panel  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    return Group(
        Panel(Text(picture(progress.topology)), title="one address, three hosts", expand=False),
        Text(progress.doing, style="bold"),
        Columns(
            (
                Panel(
                    Text("\n".join(progress.bars())),
                    title="who answered in the last second, and in all",
                ),
                Panel(Text(table), title="the switch's table"),
            )
        ),
        Text(f"{progress.answers.total()} answered, {progress.failed_count} failed"),
    )


def _shown_live(seed: int) -> Report:
    from rich.live import Live  # noqa: PLC0415 - slow to import, and only for terminals

    progress = Progress(SCENARIO.topology)
    with Live(drawing(progress, "(empty)"), auto_refresh=False) as live:
        screen = Screen(live, progress)
        watch = Watch(screen.step, screen.attempt)
        report = run_in_lab(SCENARIO, seed, lab_of_this_process(), watch=watch)
        screen.finish()
        return report


def _summary(report: Report) -> str:
    lines = [
        f"  {'held  ' if each.held else 'BROKEN'}  {each.what}: {each.seen}"
        for each in report.expectations
    ]
    held_count = sum(1 for each in report.expectations if each.held)
    lines.append(f"{held_count} of {len(report.expectations)} expectations held")
    lines += _headlines(report)
    lines.append(f"repeat it with: wlbs demo --seed {report.seed}")
    lines.append("look around in one yourself with: wlbs lab up")
    return "\n".join(lines)


def _headlines(report: Report) -> list[str]:
    """Return what a person remembers: the gap, and the connections that saw none."""
    figures = report.figures
    if "gap_ms" not in figures:
        return []
    lasted = f"{figures['broken']:g} broke, with {figures['transfers']:g} transfers"
    return [
        f"a host was lost: for {figures['gap_ms']:.0f} ms its share was answered by nobody;",
        f"of the connections that lasted at the others {lasted}",
    ]
