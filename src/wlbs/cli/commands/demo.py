# SPDX-License-Identifier: Apache-2.0
"""`wlbs demo`: three hosts serve one address, live, and every expectation is judged.

Knows how a run is shown, on a terminal and without one. What runs is the scenario `serve`, in the
lab; nothing is put on for show.
"""

import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

import click

from wlbs.cli.commands.lab import lab_of_this_process
from wlbs.cli.exits import Exit
from wlbs.cli.runs import draw_seed
from wlbs.lab.command import require_root
from wlbs.lab.recorder import switch_table
from wlbs.lab.run import Watch, run_in_lab
from wlbs.scenario.evidence import Attempt
from wlbs.scenario.library import SCENARIOS
from wlbs.scenario.report import Report
from wlbs.scenario.steps import Leak, SendFlows, Step
from wlbs.scenario.topology import Topology

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

REDRAW_S: Final = 0.1
"""Ten pictures a second look live, and leave the processors to the cluster."""

TABLE_S: Final = 0.5
"""Reading the switch's table starts a process; twice a second is often enough to see it."""

BAR_WIDTH: Final = 30


@click.command()
@click.option("--seed", type=click.IntRange(0), default=None, help="Repeat the demo of this seed.")
def demo(seed: int | None) -> int:
    """Show a cluster of three hosts serving one address.

    Builds the whole cluster out of network namespaces on this machine, takes some 20 seconds and
    leaves nothing behind. Exit status 0 only if every expectation held.
    """
    require_root()
    drawn = draw_seed(seed)
    is_terminal = sys.stdout.isatty()
    report = _shown_live(drawn) if is_terminal else _shown_plainly(drawn)
    click.echo(_summary(report))
    return Exit.OK if report.passed else Exit.FAILED


class Progress:
    """What has happened so far, for whoever draws it."""

    def __init__(self, topology: Topology) -> None:
        """Begin with nothing."""
        self.topology = topology
        self.doing = "building three hosts, two clients and a switch"
        self.answers: Counter[str] = Counter()
        self.failed_count = 0

    def step(self, step: Step) -> None:
        """Take note of what is being done."""
        match step:
            case SendFlows():
                self.doing = f"{step.batch}: {step.count} connections to port {step.server_port}"
            case Leak():
                self.doing = f"{step.host} leaks a frame with the cluster's MAC as its source"

    def attempt(self, attempt: Attempt) -> None:
        """Count an answer."""
        if attempt.answered_by is None:
            self.failed_count += 1
        else:
            self.answers[attempt.answered_by] += 1

    def bars(self) -> list[str]:
        """Return one bar for each host, as long as its part of all answers."""
        total = max(self.answers.total(), 1)
        lines = []
        for host in self.topology.hosts:
            part = self.answers[host.name] / total
            bar = "#" * round(part * BAR_WIDTH)
            lines.append(f"{host.name} {bar:{BAR_WIDTH}} {self.answers[host.name]:5} {part:6.1%}")
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
    scenario = SCENARIOS["serve"]
    progress = Progress(scenario.topology)
    click.echo(picture(scenario.topology))
    click.echo(progress.doing)

    def on_step(step: Step) -> None:
        progress.step(step)
        click.echo(progress.doing)

    watch = Watch(on_step, progress.attempt)
    report = run_in_lab(scenario, seed, lab_of_this_process(), watch=watch)
    for line in progress.bars():
        click.echo(line)
    return report


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
            entries = sorted(switch_table(lab_of_this_process()), key=lambda entry: entry[1])
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
                Panel(Text("\n".join(progress.bars())), title="who answered"),
                Panel(Text(table), title="the switch's table"),
            )
        ),
        Text(f"{progress.answers.total()} answered, {progress.failed_count} failed"),
    )


def _shown_live(seed: int) -> Report:
    from rich.live import Live  # noqa: PLC0415 - slow to import, and only for terminals

    scenario = SCENARIOS["serve"]
    progress = Progress(scenario.topology)
    with Live(drawing(progress, "(empty)"), auto_refresh=False) as live:
        screen = Screen(live, progress)
        watch = Watch(screen.step, screen.attempt)
        report = run_in_lab(scenario, seed, lab_of_this_process(), watch=watch)
        screen.finish()
        return report


def _summary(report: Report) -> str:
    lines = [
        f"  {'held  ' if each.held else 'BROKEN'}  {each.what}: {each.seen}"
        for each in report.expectations
    ]
    held_count = sum(1 for each in report.expectations if each.held)
    lines.append(f"{held_count} of {len(report.expectations)} expectations held")
    lines.append(f"repeat it with: wlbs demo --seed {report.seed}")
    lines.append("look around in one yourself with: wlbs lab up")
    return "\n".join(lines)
