# SPDX-License-Identifier: Apache-2.0
"""`wlbs lab`: clusters out of network namespaces, to look at, to play with and to judge.

Knows words, tables and exit statuses. Knows nothing of how a lab is made or what is expected.
"""

import os
import secrets
from dataclasses import asdict, dataclass
from json import dumps
from typing import Final

import click

from wlbs.cli.exits import Exit
from wlbs.lab.build import NodeStatus, build, namespace_of, read_topology, start_cluster, status
from wlbs.lab.command import inside, require_root
from wlbs.lab.names import DEFAULT_LAB, LAB_NAME, LabNames
from wlbs.lab.run import run_in_lab
from wlbs.lab.sabotage import NO_SABOTAGE, SABOTAGES, Sabotage
from wlbs.lab.sweep import labs_found, sweep
from wlbs.scenario.library import SCENARIOS, with_topology
from wlbs.scenario.report import Report, as_plain
from wlbs.scenario.steps import Scenario
from wlbs.scenario.topology import CLIENT_COUNT_MAX, HOST_COUNT_MAX, Topology

LAB_HOST_COUNT_MAX: Final = min(HOST_COUNT_MAX, 16)
"""Hosts of one lab share one machine's memory and processors; more say nothing new."""
LAB_CLIENT_COUNT_MAX: Final = min(CLIENT_COUNT_MAX, 16)

MIN_CLIENTS: Final = 2
"""`serve` speaks from 400 addresses, and behind one client there are 254."""

RUN_COUNT_MAX: Final = 1000
SEED_LIMIT: Final = 1_000_000
"""Seeds are short enough to be read aloud; each is a history of its own."""


def lab_of_this_process() -> LabNames:
    """Return a lab of one's own, so that runs at the same time do not meet each other."""
    return LabNames(f"run{os.getpid()}")


def _checked(context: click.Context, parameter: click.Parameter, name: str | None) -> str | None:
    """Refuse a lab name that would not fit into the names made of it."""
    del context, parameter
    if name is not None and not LAB_NAME.fullmatch(name):
        words = f"{name!r} is no lab name: a letter, then up to 15 small letters and digits"
        raise click.BadParameter(words)
    return name


name_option = click.option(
    "--name", default=DEFAULT_LAB, show_default=True, callback=_checked, help="Name of the lab."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
hosts_option = click.option(
    "--hosts", type=click.IntRange(1, LAB_HOST_COUNT_MAX), default=3, show_default=True
)
clients_option = click.option(
    "--clients", type=click.IntRange(1, LAB_CLIENT_COUNT_MAX), default=2, show_default=True
)


@click.group()
def lab() -> None:
    """Build clusters out of network namespaces and run scenarios on them.

    Begin with `wlbs lab up`, then `wlbs lab exec c1 curl -s http://10.9.0.100/`. Hosts are h1, h2
    and so on at 10.9.0.N, clients c1 and so on at 10.9.0.20N, the switch is s1.
    """


@lab.command()
@hosts_option
@clients_option
@name_option
@click.option("--agents/--no-agents", default=True, help="Whether to start the hosts' agents.")
def up(hosts: int, clients: int, name: str, *, agents: bool) -> None:
    """Build a lab, in place of one of the same name."""
    names, topology = LabNames(name), Topology(hosts, clients)
    build(names, topology)
    if agents:
        start_cluster(names, topology)
    click.echo(_described(names, status(names)))


@lab.command("status")
@name_option
@json_option
def status_command(name: str, *, as_json: bool) -> int:
    """Show what there is of a lab; exit status 1 if something in it is missing."""
    require_root()
    nodes = status(LabNames(name))
    if as_json:
        click.echo(dumps({"lab": name, "nodes": [asdict(node) for node in nodes]}))
    else:
        click.echo(_described(LabNames(name), nodes))
    is_whole = all(node.exists and node.service is not False for node in nodes)
    return Exit.OK if is_whole else Exit.FAILED


@lab.command("exec", context_settings={"ignore_unknown_options": True})
@name_option
@click.argument("node")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec_command(name: str, node: str, command: tuple[str, ...]) -> None:
    """Run COMMAND as if on NODE: in its network namespace, with this terminal."""
    require_root()
    words = inside(namespace_of(LabNames(name), node), *command)
    os.execvp(words[0], words)  # noqa: S606 - the operator's own command, with the operator's rights


@lab.command()
@name_option
def down(name: str) -> None:
    """Take a lab down and remove all it made; nothing to remove is no failure."""
    require_root()
    click.echo(f"lab {name}: removed {sweep(name)} namespaces, processes and folders")


@lab.command("sweep")
@click.option("--name", default=None, callback=_checked, help="Only this lab; all by default.")
def sweep_command(name: str | None) -> None:
    """Remove what crashed labs left: processes, namespaces, folders, pinned programs."""
    require_root()
    for each in (name,) if name else labs_found():
        click.echo(f"lab {each}: removed {sweep(each)} namespaces, processes and folders")


@lab.command("run")
@click.argument("scenario", required=False)
@click.option("--all", "run_all", is_flag=True, help="Run every scenario.")
@click.option("--hosts", type=click.IntRange(1, LAB_HOST_COUNT_MAX), default=None)
@click.option("--clients", type=click.IntRange(MIN_CLIENTS, LAB_CLIENT_COUNT_MAX), default=None)
@click.option("--runs", type=click.IntRange(1, RUN_COUNT_MAX), help="Repeat with further seeds.")
@click.option("--seed", type=click.IntRange(0), default=None, help="Repeat the run of this seed.")
@click.option("--sabotage", type=click.Choice(["all", *SABOTAGES]), help="Break the cluster first.")
@json_option
@click.pass_context
def run_command(context: click.Context, /, **words: object) -> int:
    """Run SCENARIO in a lab of its own; exit status 0 only if every expectation held."""
    order = RunOrder(**words)  # type: ignore[arg-type] # click has checked the words
    scenarios = _chosen(context, order)
    seed = order.seed if order.seed is not None else secrets.randbelow(SEED_LIMIT)
    show = (lambda _: None) if order.as_json else click.echo
    reports = []
    for scenario in scenarios:
        for sabotage in _sabotages(order):
            for index in range(order.runs or 1):
                report = run_in_lab(scenario, seed + index, lab_of_this_process(), sabotage)
                reports.append((sabotage, report))
                show(_told(report, sabotage))
    passed = all(report.passed for _, report in reports)
    if order.as_json:
        runs = _as_plain(reports)
        is_one = len(runs) == 1 and not (order.run_all or order.runs)
        click.echo(dumps(runs[0] if is_one else {"runs": runs, "passed": passed}))
    return Exit.OK if passed else Exit.FAILED


@lab.command("list")
@json_option
def list_command(*, as_json: bool) -> None:
    """List the labs of which anything is there, and the scenarios there are."""
    labs = labs_found()
    if as_json:
        click.echo(dumps({"labs": labs}))
        return
    for each in labs:
        click.echo(f"lab {each}")
    for scenario in SCENARIOS.values():
        click.echo(f"scenario {scenario.name}: {scenario.summary}")
    for sabotage in SABOTAGES.values():
        click.echo(f"sabotage {sabotage.name}: {sabotage.summary}")


@dataclass(frozen=True, slots=True)
class RunOrder:
    """What `wlbs lab run` was asked for."""

    scenario: str | None
    run_all: bool
    hosts: int | None
    clients: int | None
    runs: int | None
    seed: int | None
    sabotage: str | None
    as_json: bool


def _chosen(context: click.Context, order: RunOrder) -> tuple[Scenario, ...]:
    """Return the scenarios asked for, in the topology asked for."""
    if (order.scenario is None) == (not order.run_all):
        words = f"name one scenario ({', '.join(SCENARIOS)}) or say --all"
        raise click.UsageError(words, context)
    if order.scenario is not None and order.scenario not in SCENARIOS:
        words = f"there is no scenario {order.scenario!r}; there are {', '.join(SCENARIOS)}"
        raise click.UsageError(words, context)
    if order.sabotage and order.hosts == 1:
        words = "a sabotage needs two hosts at least"
        raise click.UsageError(words, context)
    names = SCENARIOS if order.run_all else (order.scenario,)
    chosen = tuple(SCENARIOS[name] for name in names if name)
    return tuple(
        with_topology(
            each,
            Topology(
                order.hosts or each.topology.host_count, order.clients or each.topology.client_count
            ),
        )
        for each in chosen
    )


def _sabotages(order: RunOrder) -> tuple[Sabotage, ...]:
    if order.sabotage == "all":
        return tuple(SABOTAGES.values())
    return (SABOTAGES[order.sabotage] if order.sabotage else NO_SABOTAGE,)


def _told(report: Report, sabotage: Sabotage) -> str:
    broken = "" if sabotage is NO_SABOTAGE else f", sabotaged: {sabotage.summary}"
    lines = [f"{report.scenario} in the {report.world}, seed {report.seed}{broken}"]
    for each in report.expectations:
        mark = "held  " if each.held else "BROKEN"
        lines.append(f"  {mark} {each.at_s:6.2f} s  {each.what}: {each.seen}")
    repeat = f"wlbs lab run {report.scenario} --seed {report.seed}"
    repeat += "" if sabotage is NO_SABOTAGE else f" --sabotage {sabotage.name}"
    lines.append("  every expectation held" if report.passed else f"  failed; repeat it: {repeat}")
    return "\n".join(lines)


def _as_plain(reports: list[tuple[Sabotage, Report]]) -> list[dict[str, object]]:
    """Return the reports for scripts; a sabotaged run also says which expectations caught it."""
    runs: list[dict[str, object]] = []
    for sabotage, report in reports:
        run = as_plain(report)
        if sabotage is not NO_SABOTAGE:
            run["sabotage"] = sabotage.name
            run["caught_by"] = [each.what for each in report.expectations if not each.held]
        runs.append(run)
    return runs


def _described(names: LabNames, nodes: tuple[NodeStatus, ...]) -> str:
    topology = read_topology(names)
    lines = [f"lab {names.lab}: virtual IP {topology.vip}, VMAC {topology.vmac}"]
    for node in nodes:
        parts = [("" if node.exists else "no ") + f"namespace {node.namespace}"]
        if node.service is not None:
            parts.append("nginx " + ("answers" if node.service else "is down"))
        if node.agent is not None:
            parts.append("agent " + ("runs" if node.agent else "is down"))
        lines.append(f"  {node.name:4} {node.address:12} {', '.join(parts)}")
    return "\n".join(lines)
