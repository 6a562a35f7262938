# SPDX-License-Identifier: Apache-2.0
"""The demo tells its story on the kernel, and without root in the simulator; both are judged."""

import os

import pytest

from wlbs.cli.exits import Exit
from wlbs.cli.main import run

STORY = ("h2 is lost: its cable is pulled", "h2 is back", "its share was answered by nobody")


def test_without_root_the_simulator_tells_the_story_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert run(["demo", "--seed", "3"]) == Exit.OK
    told = capsys.readouterr().out
    assert "this is the simulator" in told
    assert [each for each in STORY if each not in told] == []


@pytest.mark.skipif(os.geteuid() != 0 and not os.environ.get("STRICT"), reason="a lab needs root")
def test_with_root_the_kernel_tells_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["demo", "--seed", "3"]) == Exit.OK
    told = capsys.readouterr().out
    assert "this is the simulator" not in told
    assert [each for each in STORY if each not in told] == []
    assert "of the connections that lasted at the others 0 broke" in told
