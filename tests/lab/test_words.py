# SPDX-License-Identifier: Apache-2.0
"""Without root the lab's commands say in one line what to type, and touch nothing."""

import os

import pytest

from wlbs.cli.exits import Exit
from wlbs.cli.main import run


@pytest.mark.parametrize(
    "words", [["lab", "up"], ["lab", "run", "serve"], ["lab", "sweep"], ["lab", "down"]]
)
def test_without_root_the_cure_is_named(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert run(words) == Exit.ENVIRONMENT
    assert "type it again with sudo in front" in capsys.readouterr().err


def test_the_list_names_scenarios_and_sabotages(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["lab", "list"]) == Exit.OK
    words = capsys.readouterr().out
    assert "scenario serve: " in words
    assert "sabotage key-differs: " in words
