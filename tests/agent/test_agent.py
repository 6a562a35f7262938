# SPDX-License-Identifier: Apache-2.0
"""The agent as an operator meets it: started, asked, drained, killed and taken over.

Every test compares what the host was before with what it is afterwards.
"""

import json
import shutil
import signal
import time

import pytest
from tests.agent.site import DEADLINE_S, Site, wait_until

from wlbs.core.protocol.effects import State
from wlbs.core.protocol.journal import read_beginning
from wlbs.core.protocol.wire import decode


def test_it_serves_answers_and_leaves_the_host_as_it_was(site: Site) -> None:
    before = site.observe()
    process = site.converged_agent()
    while_serving = site.observe()
    assert all(while_serving[part] != before[part] for part in ("links", "settings", "pins"))
    status = site.status()
    assert (status["state"], status["lease_live"]) == ("converged", True)
    assert [(host["name"], host["state"], host["shares"]) for host in status["hosts"]] == [
        ("h1", "converged", [4096, 4096]),
        ("h2", "unheard", [0, 0]),
    ]
    shown = site.ask("query").stdout
    assert "100.0 %" in shown
    assert "02:bf:c6:33:64:64" in shown
    process.send_signal(signal.SIGTERM)
    assert process.wait(DEADLINE_S) == 0, (site.folder / "err").read_text()
    assert site.observe() == before


def test_its_lease_stays_live_for_longer_than_one_lease(site: Site) -> None:
    site.converged_agent()
    deadline = time.monotonic() + 2.5
    while time.monotonic() < deadline:
        assert site.status()["lease_live"]


def test_the_host_is_stopped_started_and_drained(site: Site) -> None:
    site.converged_agent()
    stopped = site.ask("stop")
    assert (stopped.returncode, stopped.stdout) == (
        0,
        "this host was converged and is stopped; 0 connections were cut\n",
    )
    status = site.status()
    assert (status["state"], status["lease_live"]) == ("stopped", False)
    for word in ("stop", "drainstop"):
        again = site.ask(word)
        assert (again.returncode, again.stderr) == (1, "wlbs: this host is stopped already\n")
    assert site.ask("start").returncode == 0
    wait_until(lambda: site.status()["state"] == "converged", "convergence")
    drained = site.ask("drainstop", "--wait", "5")
    assert (drained.returncode, drained.stdout.splitlines()[-1]) == (0, "this host has stopped")
    log = [json.loads(line) for line in (site.folder / "err").read_text().splitlines()]
    assert {"state", "membership"} <= {line["event"] for line in log}
    moves = [(line["before"], line["after"]) for line in log if line["event"] == "state"]
    assert moves == [
        ("stopped", "joining"),
        ("joining", "converging"),
        ("converging", "converged"),
        ("converged", "stopped"),
        ("stopped", "joining"),
        ("joining", "converging"),
        ("converging", "converged"),
        ("converged", "draining"),
        ("draining", "stopped"),
    ]


def test_it_does_not_end_before_it_has_said_goodbye(site: Site) -> None:
    process = site.converged_agent()
    process.send_signal(signal.SIGTERM)
    assert process.wait(DEADLINE_S) == 0
    lines = site.instance.journal.read_text().splitlines()
    cluster = read_beginning(lines[0]).cluster
    sent = [json.loads(line)["data"] for line in lines if '"SendHeartbeat"' in line]
    states = [decode(bytes.fromhex(data), cluster).state for data in sent]
    assert states.count(State.STOPPED) == cluster.timing.tolerance


def test_its_journal_repeats_itself(site: Site) -> None:
    process = site.converged_agent()
    process.send_signal(signal.SIGTERM)
    assert process.wait(DEADLINE_S) == 0
    journal = site.instance.journal
    try:
        assert journal.stat().st_mode & 0o777 == 0o600
        assert site.wlbs("replay", str(journal)).returncode == 0
        lines = journal.read_text().splitlines(keepends=True)
        changed = site.folder / "changed"
        changed.write_text("".join(line.replace("DRAINING", "STOPPED") for line in lines))
        other = site.wlbs("replay", str(changed), "--json")
        assert (other.returncode, json.loads(other.stdout)["same"]) == (1, False)
    finally:
        shutil.rmtree(journal.parent)


@pytest.mark.parametrize("line_count", [1, 2, 3, 5, 7, 9])
def test_killed_at_any_moment_it_is_undone(site: Site, line_count: int) -> None:
    before = site.observe()
    site.kill_agent_after(line_count)
    undone = site.ask("undo")
    assert undone.returncode == 0, undone.stderr
    assert site.observe() == before
    assert site.ask("undo").stdout == f"{site.name}: nothing to undo\n"


def test_killed_while_serving_it_is_undone_or_taken_over(site: Site) -> None:
    before = site.observe()
    site.converged_agent()
    nonce = site.status()["hosts"][0]["boot_nonce"]
    site.started[-1].kill()
    site.started[-1].wait(DEADLINE_S)
    process = site.converged_agent()
    assert "took over the data path of a dead agent" in (site.folder / "out").read_text()
    assert site.status()["hosts"][0]["boot_nonce"] == nonce
    process.kill()
    process.wait(DEADLINE_S)
    undone = site.ask("undo")
    assert undone.returncode == 0, undone.stderr
    assert "removed 198.51.100.100 from lo" in undone.stdout
    assert site.observe() == before


def test_what_another_configuration_left_is_undone_and_not_taken_over(site: Site) -> None:
    before = site.observe()
    site.ready_agent().kill()
    site.started[-1].wait(DEADLINE_S)
    text = site.configuration.read_text()
    site.configuration.write_text(text.replace("51.100.100", "51.100.101"))
    process = site.ready_agent()
    assert "undid what a dead agent" in (site.folder / "out").read_text()
    process.send_signal(signal.SIGTERM)
    assert process.wait(DEADLINE_S) == 0
    assert site.observe() == before
