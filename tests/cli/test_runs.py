# SPDX-License-Identifier: Apache-2.0
"""What `run` prints for scripts is the same in every world, and its words are checked first."""

import json

import click
import pytest

from wlbs.cli.exits import Exit
from wlbs.cli.runs import RunOrder, World, carry_out
from wlbs.scenario.report import Expectation, Report
from wlbs.scenario.steps import Scenario
from wlbs.scenario.topology import Shape

CAUGHT_IN = {"cut-wire": ("serve",), "burn-wire": ("stall", "serve")}


class Played:
    """A world in which every scenario takes as many milliseconds as its seed says."""

    def __init__(self) -> None:
        """Begin with nothing played."""
        self.asked: list[tuple[str, int, str | None]] = []
        self.shapes: list[Shape] = []

    def start(self, scenario: Scenario, seed: int, sabotage: str | None) -> Report:
        """Play one scenario; whatever is broken is caught."""
        self.asked.append((scenario.name, seed, sabotage))
        self.shapes.append(scenario.topology.shape)
        told = Expectation("it works", 1.0, sabotage is None, "something")
        return Report(scenario.name, "play", seed, (told,), {"gap_ms": float(seed)})


def order(
    scenario: str | None = "serve",
    *,
    runs: int | None = None,
    sabotage: str | None = None,
    shape: str | None = None,
    as_json: bool = True,
) -> RunOrder:
    return RunOrder(scenario, False, None, None, shape, runs, 7, sabotage, as_json)  # noqa: FBT003


def play(wanted: RunOrder) -> tuple[int, Played]:
    world = Played()
    with click.Context(click.Command("run")) as context:
        status = carry_out(context, wanted, World("play", world.start, CAUGHT_IN))
    return status, world


def test_one_run_is_printed_as_itself(capsys: pytest.CaptureFixture[str]) -> None:
    status, _ = play(order())
    run = json.loads(capsys.readouterr().out)
    assert status == Exit.OK
    assert run["seed"] == 7
    assert run["passed"]
    assert "runs" not in run


def test_several_runs_have_a_summary_of_their_figures(capsys: pytest.CaptureFixture[str]) -> None:
    play(order(runs=3))
    plain = json.loads(capsys.readouterr().out)
    assert [run["seed"] for run in plain["runs"]] == [7, 8, 9]
    assert plain["figures"] == {"gap_ms": {"median": 8.0, "min": 7.0, "max": 9.0}}


def test_a_sabotage_says_what_caught_it(capsys: pytest.CaptureFixture[str]) -> None:
    status, world = play(order("serve", sabotage="cut-wire"))
    run = json.loads(capsys.readouterr().out)
    assert status == Exit.FAILED
    assert world.asked == [("serve", 7, "cut-wire")]
    assert run["caught_by"] == ["it works"]


def test_all_sabotages_of_a_scenario_are_those_that_it_is_there_to_catch() -> None:
    _, everywhere = play(order(None, sabotage="all"))
    assert everywhere.asked == [
        ("serve", 7, "cut-wire"),
        ("stall", 7, "burn-wire"),
        ("serve", 7, "burn-wire"),
    ]
    _, world = play(order("stall", sabotage="all"))
    assert world.asked == [("stall", 7, "burn-wire")]
    with pytest.raises(click.UsageError, match="no sabotage"):
        play(order("crash", sabotage="all"))


@pytest.mark.parametrize("wanted", [order(None), order("nothing")])
def test_wrong_words_start_nothing(wanted: RunOrder) -> None:
    with pytest.raises(click.UsageError):
        play(wanted)


def test_a_scenario_is_played_in_the_shape_asked_for() -> None:
    assert play(order())[1].shapes == [Shape.SWITCH]
    assert play(order(shape="hub"))[1].shapes == [Shape.HUB]
    assert play(order("crash", shape="tree"))[1].shapes == [Shape.TREE]


def test_what_no_tree_could_cut_is_refused_in_one() -> None:
    with pytest.raises(click.UsageError, match="no switch of a tree"):
        play(order("partition", shape="tree"))


def test_a_failure_is_told_with_all_it_takes_to_repeat_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    play(order(shape="hub", sabotage="cut-wire", as_json=False))
    told = capsys.readouterr().out
    assert "repeat it: wlbs play run serve --seed 7 --shape hub --sabotage cut-wire" in told
