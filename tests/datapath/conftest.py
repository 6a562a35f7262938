# SPDX-License-Identifier: Apache-2.0
"""What the tests of the data path share: pins, an interface, a table, the claim dictated."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from wlbs.core.address import IpAddress, Mac
from wlbs.core.buckets import BUCKET_COUNT, HashKey
from wlbs.core.rules import HostIndex
from wlbs.core.table import Buckets, FilterTable, Vip
from wlbs.datapath import witness
from wlbs.datapath.loader import OBJECT, Datapath
from wlbs.linux import bpffs, namespace

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


def compile_witness(folder: Path, hook: str) -> Path:
    """Compile the witness for another hook than its own."""
    target = folder / witness.OBJECT.name
    define = f'-DWITNESSED="{hook}"'
    source = str(witness.OBJECT.with_suffix(".c"))
    subprocess.run([*COMPILER, *FLAGS, define, source, "-o", str(target)], check=True, timeout=120)
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


@pytest.fixture
def interface() -> Iterator[tuple[int, Mac]]:
    """Yield index and MAC of ``near``, one end of a veth pair in a namespace of its own."""
    name = f"wlbs-test-{os.getpid()}"
    namespace.create(name)
    try:
        with namespace.entered(name):
            _ip("link", "add", "near", "type", "veth", "peer", "name", "far")
            _ip("link", "set", "near", "up")
            _ip("link", "set", "far", "up")
            (shown,) = json.loads(_ip("-j", "link", "show", "near"))
            yield int(shown["ifindex"]), Mac.parse(shown["address"])
    finally:
        namespace.remove(name)


@pytest.fixture
def own_everything(interface: tuple[int, Mac]) -> FilterTable:
    """Return the table of a host that alone serves 10.0.0.1, at the interface."""
    return FilterTable(
        own=HostIndex(0),
        vmac=Mac.parse("02:bf:0a:00:00:01"),
        station_mac=interface[1],
        masked_mac=Mac.parse("02:01:0a:00:00:01"),
        key=HashKey(bytes(range(16))),
        vips=(Vip(IpAddress.parse("10.0.0.1"), HostIndex(0)),),
        rules=(),
        buckets=(Buckets(bytes(BUCKET_COUNT)),),
    )


def _ip(*words: str) -> str:
    done = subprocess.run(["ip", *words], check=True, capture_output=True, text=True, timeout=10)
    return done.stdout
