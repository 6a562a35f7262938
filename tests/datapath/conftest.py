# SPDX-License-Identifier: Apache-2.0
"""What the tests of the data path share: a place for pins and the object with a dictated claim."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from wlbs.datapath.loader import OBJECT, Datapath
from wlbs.linux import bpffs

HERE = Path(__file__).parent
COMPILER = (sys.executable, "-m", "ziglang", "cc", "-target", "bpfel-freestanding", "-mcpu=v3")
FLAGS = ("-O2", "-g", "-Wall", "-Wextra", "-Werror", "-fno-stack-protector", "-c")


@pytest.fixture(scope="session")
def dictated_object(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile the shipped source with another claim, one that the test dictates."""
    target = tmp_path_factory.mktemp("bpf") / "wlbs.bpf.o"
    source = OBJECT.with_suffix(".c")
    claim = ("-I", str(source.parent), "-include", str(HERE / "claim.h"))
    subprocess.run(
        [*COMPILER, *FLAGS, *claim, str(source), "-o", str(target)], check=True, timeout=120
    )
    return target


@pytest.fixture
def pins() -> Iterator[Path]:
    """Yield a place for pins that is empty before and after."""
    bpffs.ensure_mounted()
    path = bpffs.DIRECTORY / f"wlbs-test-{os.getpid()}"
    yield path
    if path.exists():
        Datapath.open(path).remove()
    assert Datapath.leftovers(path) == ()
