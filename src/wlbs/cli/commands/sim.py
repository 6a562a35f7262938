# SPDX-License-Identifier: Apache-2.0
"""`wlbs sim`: the same scenarios as in the lab, in a simulated world, without any privilege.

Knows words and files. Knows nothing of how a world is simulated or what is expected.
"""

from json import dumps
from pathlib import Path
from typing import Final

import click

from wlbs.cli.exits import Exit
from wlbs.cli.runs import (
    RUN_COUNT_MAX,
    Outcome,
    RunOrder,
    World,
    as_runs,
    carry_out,
    draw_seed,
    run_options,
)
from wlbs.scenario.library import SCENARIOS
from wlbs.scenario.report import Report
from wlbs.scenario.steps import Scenario
from wlbs.scenario.topology import CLIENT_COUNT_MAX, HOST_COUNT_MAX, Topology
from wlbs.sim.run import History, run_in_sim
from wlbs.sim.sabotage import SABOTAGES
from wlbs.sim.swarm import drawn_scenario
from wlbs.sim.world import Options

CAUGHT_IN: Final = {each.name: each.scenarios for each in SABOTAGES.values()}


@click.group()
def sim() -> None:
    """Run scenarios in a simulated world: deterministic by seed, in virtual time, without root.

    Begin with `wlbs sim run crash`. What fails is repeated by its seed; add `--trace` to read what
    happened line by line, and `--pcap DIR` to open it in Wireshark.
    """


@sim.command("run")
@run_options(
    host_count_max=HOST_COUNT_MAX, client_count_max=CLIENT_COUNT_MAX, sabotages=tuple(SABOTAGES)
)
@click.option(
    "--pcap",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write a capture of each switch port into this folder.",
)
@click.option("--trace", is_flag=True, help="Print one line per event, to standard error.")
@click.pass_context
def run_command(
    context: click.Context, /, *, pcap: Path | None, trace: bool, **words: object
) -> int:
    """Run SCENARIO in a simulated world; exit status 0 only if every expectation held."""
    order = RunOrder(**words)  # type: ignore[arg-type] # click has checked the words

    def start(scenario: Scenario, seed: int, sabotage: str | None) -> Report:
        broken = SABOTAGES[sabotage] if sabotage else None
        history = run_in_sim(scenario, seed, Options(broken, is_traced=trace))
        for line in history.trace:
            click.echo(line, err=True)
        if pcap is not None:
            _write_captures(pcap, history)
        return history.report

    return carry_out(context, order, World("sim", start, CAUGHT_IN))


@sim.command("swarm")
@click.option("--hosts", type=click.IntRange(1, HOST_COUNT_MAX), default=3, show_default=True)
@click.option("--runs", type=click.IntRange(1, RUN_COUNT_MAX), default=1, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=None, help="Repeat the run of this seed.")
@click.option("--trace", is_flag=True, help="Print one line per event, to standard error.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
def swarm_command(*, hosts: int, runs: int, seed: int | None, trace: bool, as_json: bool) -> int:
    """Run scenarios nobody wrote: each seed draws its faults; exit status 0 if all held."""
    first = draw_seed(seed)
    outcomes = []
    for each in range(first, first + runs):
        scenario = drawn_scenario(each, Topology(hosts))
        history = run_in_sim(scenario, each, Options(is_traced=trace))
        for line in history.trace:
            click.echo(line, err=True)
        outcomes.append(Outcome(history.report, None))
        for told in history.report.expectations:
            if not (told.held or as_json):
                click.echo(f"seed {each}: {told.what}: {told.seen}")
    failed_count = sum(1 for each in outcomes if not each.report.passed)
    if as_json:
        click.echo(dumps(as_runs(outcomes)))
    else:
        click.echo(f"{runs - failed_count} of {runs} runs passed, seeds from {first} on")
    return Exit.FAILED if failed_count else Exit.OK


@sim.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
def list_command(*, as_json: bool) -> None:
    """List the scenarios and sabotages there are."""
    if as_json:
        click.echo(dumps({"scenarios": sorted(SCENARIOS), "sabotages": sorted(SABOTAGES)}))
        return
    for scenario in SCENARIOS.values():
        click.echo(f"scenario {scenario.name}: {scenario.summary}")
    for sabotage in SABOTAGES.values():
        where = ", ".join(sabotage.scenarios)
        click.echo(f"sabotage {sabotage.name}: {sabotage.summary}, caught in {where}")


def _write_captures(folder: Path, history: History) -> None:
    """Write one file per port; a later run of the same scenario and seed replaces them."""
    folder.mkdir(parents=True, exist_ok=True)
    report = history.report
    for port, capture in history.captures().items():
        folder.joinpath(f"{report.scenario}-{report.seed}-{port}.pcap").write_bytes(capture)
