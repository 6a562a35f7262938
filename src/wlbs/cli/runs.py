# SPDX-License-Identifier: Apache-2.0
"""Running scenarios by words: the same options, tables and JSON for every world.

Knows what `wlbs lab run` and `wlbs sim run` have in common. Knows no world: whoever calls brings
what carries a scenario out, and the names of the sabotages there are.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from json import dumps
from statistics import median
from typing import Final

import click

from wlbs.cli.exits import Exit
from wlbs.scenario.library import SCENARIOS, crosses_switches, with_topology
from wlbs.scenario.report import Report, as_plain
from wlbs.scenario.steps import Scenario
from wlbs.scenario.topology import Shape

MIN_CLIENTS: Final = 2
"""`serve` speaks from 400 addresses, and behind one client there are 254."""

RUN_COUNT_MAX: Final = 1000
SEED_LIMIT: Final = 1_000_000
"""Seeds are short enough to be read aloud; each is a history of its own."""

ALL: Final = "all"

Sabotages = Mapping[str, tuple[str, ...]]
"""Each sabotage's name, and the scenarios whose expectations are there to catch it."""

Start = Callable[[Scenario, int, str | None], Report]
"""Runs a scenario with a seed and, if one is named, a sabotage."""


@dataclass(frozen=True, slots=True)
class World:
    """A world as the command line knows it: `wlbs WORLD run`."""

    name: str
    start: Start
    sabotages: Sabotages


@dataclass(frozen=True, slots=True)
class RunOrder:
    """What `run` was asked for."""

    scenario: str | None
    run_all: bool
    hosts: int | None
    clients: int | None
    shape: str | None
    runs: int | None
    seed: int | None
    sabotage: str | None
    as_json: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run, and what had been broken in it."""

    report: Report
    sabotage: str | None


def run_options(
    *, host_count_max: int, client_count_max: int, sabotages: Sequence[str]
) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Return the decorator that gives a command the words of `RunOrder`."""
    words = (
        click.argument("scenario", required=False),
        click.option("--all", "run_all", is_flag=True, help="Run every scenario."),
        click.option("--hosts", type=click.IntRange(1, host_count_max), default=None),
        click.option("--clients", type=click.IntRange(MIN_CLIENTS, client_count_max), default=None),
        shape_option(None),
        click.option(
            "--runs", type=click.IntRange(1, RUN_COUNT_MAX), help="Repeat with further seeds."
        ),
        click.option(
            "--seed", type=click.IntRange(0), default=None, help="Repeat the run of this seed."
        ),
        click.option(
            "--sabotage", type=click.Choice([ALL, *sabotages]), help="Break the cluster first."
        ),
        click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts."),
    )

    def decorate(command: Callable[..., int]) -> Callable[..., int]:
        for word in reversed(words):
            command = word(command)
        return command

    return decorate


def shape_option(default: str | None) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Return the option that says what lies between hosts and clients."""
    return click.option(
        "--shape",
        type=click.Choice([each.value for each in Shape]),
        default=default,
        show_default=default is not None,
        help="What lies between hosts and clients.",
    )


def draw_seed(given: int | None) -> int:
    """Return the seed that was asked for, or a fresh one."""
    return given if given is not None else secrets.randbelow(SEED_LIMIT)


def carry_out(context: click.Context, order: RunOrder, world: World) -> int:
    """Run what was asked for, print what came of it, and return the exit status."""
    seed = draw_seed(order.seed)
    outcomes = []
    for scenario, sabotage in _chosen(context, order, world.sabotages):
        for index in range(order.runs or 1):
            outcome = Outcome(world.start(scenario, seed + index, sabotage), sabotage)
            outcomes.append(outcome)
            if not order.as_json:
                click.echo(_told(outcome, world.name, order))
    if order.as_json:
        is_one = len(outcomes) == 1 and not (order.run_all or order.runs)
        plain = as_run(outcomes[0]) if is_one else as_runs(outcomes)
        click.echo(dumps(plain))
    elif order.runs and order.runs > 1 and not order.run_all:
        click.echo("\n".join(_table(outcomes)))
    passed = all(each.report.passed for each in outcomes)
    return Exit.OK if passed else Exit.FAILED


def as_run(outcome: Outcome) -> dict[str, object]:
    """Return one run for scripts; a sabotaged one also says which expectations caught it."""
    run = as_plain(outcome.report)
    if outcome.sabotage is not None:
        run["sabotage"] = outcome.sabotage
        run["caught_by"] = [each.what for each in outcome.report.expectations if not each.held]
    return run


def as_runs(outcomes: Sequence[Outcome]) -> dict[str, object]:
    """Return several runs for scripts; those of one scenario share a summary of their figures."""
    plain: dict[str, object] = {
        "runs": [as_run(each) for each in outcomes],
        "passed": all(each.report.passed for each in outcomes),
    }
    if len({each.report.scenario for each in outcomes}) == 1:
        plain["figures"] = summarise([each.report for each in outcomes])
    return plain


def summarise(reports: Sequence[Report]) -> dict[str, dict[str, float]]:
    """Return median, least and greatest of every figure, over the runs that have it."""
    names = dict.fromkeys(name for report in reports for name in report.figures)
    summary = {}
    for name in names:
        values = [report.figures[name] for report in reports if name in report.figures]
        summary[name] = {
            "median": round(median(values), 4),
            "min": min(values),
            "max": max(values),
        }
    return summary


def _chosen(
    context: click.Context, order: RunOrder, sabotages: Sabotages
) -> list[tuple[Scenario, str | None]]:
    """Return the scenarios asked for, each with what is to be broken in it.

    `--sabotage all` breaks each one where it is there to be caught: in one scenario, or wherever.
    """
    each_where_caught = order.sabotage == ALL and not order.run_all
    if not each_where_caught and (order.scenario is None) == (not order.run_all):
        words = f"name one scenario ({', '.join(SCENARIOS)}) or say --all"
        raise click.UsageError(words, context)
    if order.scenario is not None and order.scenario not in SCENARIOS:
        words = f"there is no scenario {order.scenario!r}; there are {', '.join(SCENARIOS)}"
        raise click.UsageError(words, context)
    if order.sabotage and order.hosts == 1:
        words = "a sabotage needs two hosts at least"
        raise click.UsageError(words, context)
    if each_where_caught:
        caught = [(name, each) for each, names in sabotages.items() for name in names]
        wanted = [(name, each) for name, each in caught if order.scenario in {None, name}]
        if not wanted:
            words = f"no sabotage is there to be caught in {order.scenario}; name one of them"
            raise click.UsageError(words, context)
        return [(_sized(SCENARIOS[name], order), each) for name, each in wanted]
    names = [order.scenario] if order.scenario else list(SCENARIOS)
    broken: list[str | None] = list(sabotages) if order.sabotage == ALL else [order.sabotage]
    return [(_sized(SCENARIOS[name], order), each) for name in names for each in broken]


def _sized(scenario: Scenario, order: RunOrder) -> Scenario:
    """Return a scenario in the topology asked for; some are about one shape and keep to it."""
    was = scenario.topology
    wanted = replace(
        was,
        host_count=order.hosts or was.host_count,
        client_count=order.clients or was.client_count,
        shape=Shape(order.shape) if order.shape else was.shape,
    )
    sized = with_topology(scenario, wanted)
    if sized.topology.shape is not wanted.shape and not order.run_all:
        words = f"{scenario.name} is about the shape {sized.topology.shape}: leave --shape out"
        raise click.UsageError(words)
    if crosses_switches(sized):
        words = f"{scenario.name} cuts paths from host to host, which no switch of a tree can do"
        raise click.UsageError(words)
    return sized


def _told(outcome: Outcome, world: str, order: RunOrder) -> str:
    report = outcome.report
    broken = f", sabotaged: {outcome.sabotage}" if outcome.sabotage else ""
    lines = [f"{report.scenario} in the {report.world}, seed {report.seed}{broken}"]
    for each in report.expectations:
        mark = "held  " if each.held else "BROKEN"
        lines.append(f"  {mark} {each.at_s:6.2f} s  {each.what}: {each.seen}")
    lines.append("  " + ", ".join(f"{name} {value:g}" for name, value in report.figures.items()))
    repeat = f"wlbs {world} run {report.scenario} --seed {report.seed}"
    said = {
        "hosts": order.hosts,
        "clients": order.clients,
        "shape": order.shape,
        "sabotage": outcome.sabotage,
    }
    repeat += "".join(f" --{word} {value}" for word, value in said.items() if value is not None)
    lines.append("  every expectation held" if report.passed else f"  failed; repeat it: {repeat}")
    return "\n".join(lines)


def _table(outcomes: Sequence[Outcome]) -> list[str]:
    """Return the summary of several runs of one scenario, for people."""
    summary = summarise([each.report for each in outcomes])
    passed_count = sum(1 for each in outcomes if each.report.passed)
    rows = [f"{passed_count} of {len(outcomes)} runs passed"]
    for name, values in summary.items():
        parts = ", ".join(f"{word} {value:g}" for word, value in values.items())
        rows.append(f"  {name}: {parts}")
    return rows
