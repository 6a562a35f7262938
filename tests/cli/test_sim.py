# SPDX-License-Identifier: Apache-2.0
"""`wlbs sim` says what the lab says, writes captures and traces, and needs no privilege."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from wlbs.cli.exits import Exit
from wlbs.cli.main import run
from wlbs.core.frame import Frame, parse
from wlbs.core.pcap import read_capture

FOREIGN = ("pydantic", "pyroute2", "wlbs.linux", "wlbs.datapath", "wlbs.lab", "wlbs.agent")


def test_a_run_is_told_as_json_and_repeated_by_its_seed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["sim", "run", "partition", "--seed", "5", "--json"]
    assert run(words) == Exit.OK
    first = json.loads(capsys.readouterr().out)
    assert first["world"] == "sim"
    assert first["passed"]
    assert run(words) == Exit.OK
    assert json.loads(capsys.readouterr().out) == first


def test_captures_and_the_trace_are_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["sim", "run", "partition", "--seed", "5", "--trace", "--pcap", str(tmp_path / "new")]
    assert run(words) == Exit.OK
    names = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert names == [f"partition-5-{port}.pcap" for port in ("c1", "c2", "h1", "h2", "h3")]
    captured = read_capture((tmp_path / "new" / names[0]).read_bytes())
    assert len(captured) > 100
    assert all(isinstance(parse(each.data), Frame) for each in captured)
    output = capsys.readouterr()
    assert " world heal" in output.err
    assert "every expectation held" in output.out


def test_a_swarm_is_repeated_by_its_seed(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["sim", "swarm", "--seed", "3", "--runs", "2"]
    assert run(words) == Exit.OK
    assert capsys.readouterr().out == "2 of 2 runs passed, seeds from 3 on\n"
    assert run([*words, "--json"]) == Exit.OK
    assert [each["seed"] for each in json.loads(capsys.readouterr().out)["runs"]] == [3, 4]


def test_the_list_names_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sim", "list"]) == Exit.OK
    told = capsys.readouterr().out
    assert "scenario handover-races: " in told
    assert "sabotage lease-off: " in told
    assert run(["sim", "list", "--json"]) == Exit.OK
    assert "serve" in json.loads(capsys.readouterr().out)["scenarios"]


def test_it_needs_neither_the_kernel_nor_what_talks_to_it() -> None:
    program = "import sys, wlbs.cli.main, wlbs.cli.commands.sim; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = done.stdout.split()
    assert [name for name in loaded if name.startswith(FOREIGN)] == []
