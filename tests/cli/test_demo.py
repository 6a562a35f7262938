# SPDX-License-Identifier: Apache-2.0
"""The demo tells its story on the kernel, and without root in the simulator; both are judged."""

import os
from dataclasses import replace

import pytest

from wlbs.cli.commands import demo
from wlbs.cli.exits import Exit
from wlbs.cli.main import run
from wlbs.cli.screen import BAR_WIDTH, Score, ports_of
from wlbs.cli.story import STORY, Part, chapter_of, findings
from wlbs.core.address import IpAddress
from wlbs.lab.sweep import namespaces_of
from wlbs.scenario.evidence import Attempt
from wlbs.scenario.report import Report
from wlbs.scenario.topology import Topology
from wlbs.sim.run import run_in_sim
from wlbs.sim.sabotage import SABOTAGES
from wlbs.sim.world import Options

TOLD = (
    "1. Healthy",
    "2. A network monitor is bound below the guard (Microsoft KB Q258609)",
    "3. Rebooting cures",
    "h2 is back.",
    "switch: the cluster's MAC is learned at h2's port",
    "clients of h1: cut off, 0 of",
    "clients of h3: cut off, 0 of",
    "4. The same with healing",
    "h2 relays: everyone is served",
    "h2 says: ",
    "netmon (process",
    "5. Stealth",
    "from h2's own MAC: 1 of 1 announcements",
    "without healing one frame cut 2 of 3 hosts off for ",
    "0 open connections broke, 0 new ones failed;",
    "in stealth not at all: 0 of",
    "every expectation held",
    "wlbs demo --seed 3",
)
"""In this order, whoever tells it."""

TOPOLOGY = Topology()


def missing(told: str) -> list[str]:
    """Return what is not told, or not in its turn."""
    found, at = [], 0
    for each in TOLD:
        there = told.find(each, at)
        if there < 0:
            found.append(each)
        at = max(at, there)
    return found


def test_without_root_the_simulator_tells_the_story_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert run(["demo", "--seed", "3"]) == Exit.OK
    told = capsys.readouterr().out
    assert "this is the simulator" in told
    assert missing(told) == []


@pytest.mark.skipif(os.geteuid() != 0 and not os.environ.get("STRICT"), reason="a lab needs root")
def test_with_root_the_kernel_tells_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["demo", "--seed", "3"]) == Exit.OK
    told = capsys.readouterr().out
    assert "this is the simulator" not in told
    assert missing(told) == []
    assert f"switch: {TOPOLOGY.vmac} at port h2" in told
    assert namespaces_of(f"run{os.getpid()}") == ()


def test_a_story_that_does_not_come_true_is_no_success(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody relays, so that healing heals nothing; the demo says so and fails."""
    broken = Options(SABOTAGES["relay-off"])

    def play(part: Part, seed: int) -> Report:
        return run_in_sim(part.scenario, seed, broken).report

    monkeypatch.setattr(demo, "_play_here", lambda: play)
    assert run(["demo", "--seed", "3"]) == Exit.FAILED
    told = capsys.readouterr().out
    assert "BROKEN  all are served again within 300 ms" in told
    assert "not every expectation held" in told


def test_each_chapter_begins_with_its_run_or_with_one_step_of_it() -> None:
    for part in STORY:
        begun = [chapter_of(part, step) for step in part.scenario.steps]
        by_step = [each for each in begun if each]
        by_run = [each for each in part.chapters if each.begins_run]
        assert len(by_run) == 1
        assert (*by_run, *by_step) == part.chapters


def test_what_broke_is_told_as_broken_and_not_as_seen() -> None:
    part = STORY[2]
    report = run_in_sim(part.scenario, 3).report
    first, *others = report.expectations
    told = list(findings(part, replace(report, expectations=(replace(first, held=False), *others))))
    assert f"  BROKEN  {first.what}: {first.seen}" in told
    count = len(report.expectations)
    assert told[-1] == f"  {count - 1} of {count} expectations held"


def attempt(batch: str, at_s: float, by: str | None) -> Attempt:
    return Attempt(batch, at_s, "c1", IpAddress.parse("10.9.0.201"), 5000, 80, by)


def test_bars_show_whose_clients_were_answered_in_the_last_second() -> None:
    score = Score(TOPOLOGY)
    for at_s, batch, by in ((0.5, "h3", "h3"), (2.0, "h1", "h2"), (2.1, "h2", None)):
        score.attempt(attempt(batch, at_s, by))
    assert score.bars() == [
        f"clients of h1 {'#' * BAR_WIDTH}   1 answered",
        f"clients of h2 {' ' * BAR_WIDTH}   0 answered, 1 gave up",
        f"clients of h3 {' ' * BAR_WIDTH}   0 answered",
    ]


def test_the_table_is_told_by_where_the_clusters_address_is() -> None:
    h1 = TOPOLOGY.hosts[0]
    assert "no port known" in ports_of(((h1.mac, "h1"),), TOPOLOGY)
    assert ports_of(((TOPOLOGY.vmac, "h2"),), TOPOLOGY).endswith("at port h2")
