# SPDX-License-Identifier: Apache-2.0
"""Each core module is covered, every branch of it, by the test that bears its name, run alone.

Coverage that another module's test happens to give says little: it asserts nothing here. The long
form of a test is left out: whoever runs only the short one is to have run every line.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORE = ROOT / "src/wlbs/core"
MODULES = sorted(str(path.relative_to(CORE).with_suffix("")) for path in CORE.rglob("[a-z]*.py"))
"""Each as its path below the core: ``filter``, ``protocol/member``."""


def uncovered(module: str, tests: list[str], folder: Path) -> str:
    """Return coverage's own words on what these tests leave out, empty if they leave nothing."""
    environment = os.environ | {
        "COVERAGE_FILE": str(folder / "coverage"),
        "PYTHONPATH": str(ROOT / "src"),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    coverage = [sys.executable, "-m", "coverage"]
    run = [
        "run",
        "--branch",
        f"--source=wlbs.core.{module.replace('/', '.')}",
        "-m",
        "pytest",
        "-q",
        "-m",
        "not prove",
    ]
    report = ["report", "--show-missing", "--fail-under=100", f"--include=*/wlbs/core/{module}.py"]
    for command in ([*coverage, *run, "-p", "no:cacheprovider", *tests], [*coverage, *report]):
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            return done.stdout + done.stderr
    return ""


@pytest.mark.parametrize("module", MODULES)
def test_a_core_module_is_covered_by_its_own_test_alone(module: str, tmp_path: Path) -> None:
    path = Path("tests/core", module)
    assert not uncovered(module, [str(path.with_name(f"test_{path.name}.py"))], tmp_path)


def test_what_is_not_covered_is_told(tmp_path: Path) -> None:
    """The events' test never asks for a cluster's MAC."""
    assert "cluster.py" in uncovered("cluster", ["tests/core/protocol/test_events.py"], tmp_path)
