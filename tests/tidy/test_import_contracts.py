# SPDX-License-Identifier: Apache-2.0
"""The import contracts hold, and each is seen failing on a copy of the tree that breaks it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")

LAYERS = "Arrows point down; siblings do not know each other; every package is on the map"
LAW = "The law has no world in it"
SEEDED = "The simulated world is a function of its seed"
CYCLES = "No cycles between packages"


def broken_contracts(tree: Path) -> list[str]:
    """Run the contracts on a tree and return the names of those it breaks."""
    done = subprocess.run(
        [LINT_IMPORTS, "--no-cache"],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(tree / "src"), "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Contracts: " in done.stdout, done.stdout + done.stderr
    return re.findall(r"^(.+) BROKEN", done.stdout, re.MULTILINE)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a copy of the source tree and its contracts."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=ignored)
    return tmp_path


def test_the_tree_keeps_its_contracts(tree: Path) -> None:
    assert broken_contracts(tree) == []


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        ("core/address.py", "import time", [LAW]),
        ("core/address.py", "import wlbs.linux.error", [LAYERS, LAW]),
        ("lab/__init__.py", "import wlbs.agent", [LAYERS]),
        ("sim/__init__.py", "import wlbs.lab", [LAYERS]),
        ("monitor/__init__.py", "import wlbs.agent", [LAYERS]),
        ("sim/prng.py", "import random", [SEEDED]),
        ("sim/prng.py", "import wlbs.linux.error", [SEEDED]),
        ("linux/error.py", "import wlbs.cli.main", [LAYERS, CYCLES]),
        ("elsewhere/__init__.py", "", [LAYERS]),
    ],
)
def test_a_breach_is_told(tree: Path, module: str, line: str, broken: list[str]) -> None:
    path = tree / "src/wlbs" / module
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        file.write(f"\n{line}\n")
    told = broken_contracts(tree)
    assert [name for name in broken if name not in told] == []
