# SPDX-License-Identifier: Apache-2.0
"""`wlbs lab`: clusters out of network namespaces, to look at, to play with and to judge.

Knows words, tables and exit statuses. Knows nothing of how a lab is made or what is expected.
"""

import os
from dataclasses import asdict
from json import dumps
from typing import Final

import click

from wlbs.cli.exits import Exit
from wlbs.cli.runs import RunOrder, World, carry_out, run_options, shape_option
from wlbs.lab.build import NodeStatus, build, namespace_of, read_topology, start_cluster, status
from wlbs.lab.command import inside, require_root
from wlbs.lab.names import DEFAULT_LAB, LAB_NAME, LabNames
from wlbs.lab.run import run_in_lab
from wlbs.lab.sabotage import NO_SABOTAGE, SABOTAGES
from wlbs.lab.sweep import labs_found, sweep
from wlbs.scenario.library import SCENARIOS
from wlbs.scenario.report import Report
from wlbs.scenario.steps import Scenario
from wlbs.scenario.topology import CLIENT_COUNT_MAX, HOST_COUNT_MAX, Shape, Topology

LAB_HOST_COUNT_MAX: Final = min(HOST_COUNT_MAX, 16)
"""Hosts of one lab share one machine's memory and processors; more say nothing new."""
LAB_CLIENT_COUNT_MAX: Final = min(CLIENT_COUNT_MAX, 16)


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
    and so on at 10.9.0.N, clients c1 and so on at 10.9.0.20N, the switch is s1; the stranger, if
    there is one, is x1 at 10.9.0.250. In a tree nodes sit at s1, s2 and s3 in turn.
    """


@lab.command()
@hosts_option
@clients_option
@shape_option(Shape.SWITCH.value)
@click.option("--stranger", is_flag=True, help="Add a node that is neither host nor client.")
@name_option
@click.option("--agents/--no-agents", default=True, help="Whether to start the hosts' agents.")
def up(name: str, *, agents: bool, **words: object) -> int:
    """Build a lab, in place of one of the same name."""
    names, topology = LabNames(name), _topology(**words)  # type: ignore[arg-type] # click has checked the words
    build(names, topology)
    if agents:
        start_cluster(names, topology)
    click.echo(_described(names, status(names)))
    return Exit.OK


@lab.command("status")
@name_option
@json_option
def status_command(name: str, *, as_json: bool) -> int:
    """Show what there is of a lab; exit status 1 if something in it is missing."""
    require_root()
    nodes = status(LabNames(name))
    if as_json:
        topology = read_topology(LabNames(name))
        plain = {"lab": name, "shape": topology.shape, "nodes": [asdict(node) for node in nodes]}
        click.echo(dumps(plain))
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
@run_options(
    host_count_max=LAB_HOST_COUNT_MAX,
    client_count_max=LAB_CLIENT_COUNT_MAX,
    sabotages=tuple(SABOTAGES),
)
@click.pass_context
def run_command(context: click.Context, /, **words: object) -> int:
    """Run SCENARIO in a lab of its own; exit status 0 only if every expectation held."""
    order = RunOrder(**words)  # type: ignore[arg-type] # click has checked the words
    caught_in = {each.name: each.scenarios for each in SABOTAGES.values()}
    return carry_out(context, order, World("lab", _start, caught_in))


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


def _topology(hosts: int, clients: int, shape: str, *, stranger: bool) -> Topology:
    return Topology(hosts, clients, Shape(shape), stranger)


def _start(scenario: Scenario, seed: int, sabotage: str | None) -> Report:
    broken = SABOTAGES[sabotage] if sabotage else NO_SABOTAGE
    return run_in_lab(scenario, seed, lab_of_this_process(), broken)


def _described(names: LabNames, nodes: tuple[NodeStatus, ...]) -> str:
    topology = read_topology(names)
    lines = [
        f"lab {names.lab}: virtual IP {topology.vip}, VMAC {topology.vmac}, shape {topology.shape}"
    ]
    for node in nodes:
        switch = f"at {node.switch}, " if node.switch and len(topology.switches) > 1 else ""
        parts = [("" if node.exists else "no ") + f"namespace {node.namespace}"]
        if node.service is not None:
            parts.append("nginx " + ("answers" if node.service else "is down"))
        if node.agent is not None:
            parts.append("agent " + ("runs" if node.agent else "is down"))
        lines.append(f"  {node.name:4} {node.address:12} {switch}{', '.join(parts)}")
    return "\n".join(lines)
