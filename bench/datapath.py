# SPDX-License-Identifier: Apache-2.0
"""Measures the filter's cost per frame, as a ratio to an empty XDP program in the same run.

Knows the kernel's test run, which leaves out the driver: what is measured is the program. Ratios,
because nanoseconds are the machine's. The median of several rounds, each of them measuring every
case beside the empty program.
"""

import argparse
import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wlbs.core.address import IpAddress, Mac
from wlbs.core.buckets import BUCKET_COUNT, HashKey
from wlbs.core.protocol.events import Instant
from wlbs.core.rules import Affinity, HostIndex, PortRule
from wlbs.core.table import Buckets, FilterTable, Vip
from wlbs.datapath.loader import OBJECT, Datapath
from wlbs.linux import bpffs, libbpf
from wlbs.linux.clock import now

HERE: Final = Path(__file__).parent / "bpf"
COMPILER: Final = (sys.executable, "-m", "ziglang", "cc", "-target", "bpfel-freestanding")
FLAGS: Final = ("-mcpu=v3", "-O2", "-g", "-fno-stack-protector", "-c")
ROUNDS: Final = 9
REPEAT: Final = 300_000
HASHES: Final = ("siphash_1_3", "multiply_add")
LEASE_NS: Final = 3_600_000_000_000

VMAC: Final = Mac.parse("02:bf:0a:00:00:01")
STATION: Final = Mac.parse("02:00:00:00:00:11")
OWN: Final = HostIndex(0)
OTHER: Final = HostIndex(1)


@dataclass(frozen=True, slots=True)
class Case:
    """One frame through one filter under one table."""

    name: str
    owner: HostIndex
    rule_count: int
    destination: Mac = VMAC


CASES: Final = tuple(
    Case(f"{kind}, {count} rules", owner, count, destination)
    for count in (1, 32)
    for kind, owner, destination in (
        ("not mine", OTHER, VMAC),
        ("mine", OWN, VMAC),
        ("not for the cluster", OTHER, Mac.parse("02:00:00:00:00:77")),
    )
)


def main() -> None:
    """Measure everything, print a table, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    output: Path = parser.parse_args().output
    ratios = measure()
    for hash_name, cases in ratios.items():
        for name, ratio in cases.items():
            print(f"{hash_name:14} {name:30} {ratio:5.2f} of empty")
    output.write_text(json.dumps(ratios, indent=2) + "\n", "utf-8")


def measure() -> dict[str, dict[str, float]]:
    """Return the median ratio of each case under each hash."""
    result: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name, loaded_empty(Path(name)) as empty:
        for hash_name in HASHES:
            with loaded_filter(Path(name), hash_name) as datapath:
                result[hash_name] = {
                    case.name: measure_case(datapath, empty, case) for case in CASES
                }
    return result


def measure_case(datapath: Datapath, empty: libbpf.FrameRunner, case: Case) -> float:
    """Return the median over the rounds of filter by empty program."""
    datapath.install(table(case))
    datapath.hold_lease(Instant(now() + LEASE_NS))
    runner = libbpf.FrameRunner(datapath.descriptor("wlbs_filter"))
    # The filter rewrites the buffer it is given again: from the second time on a frame of ours is
    # addressed to the station MAC, and is decided all the same.
    data = frame(case)
    rounds = [
        runner.run(data, REPEAT)[2] / max(empty.run(data, REPEAT)[2], 1) for _ in range(ROUNDS)
    ]
    return round(statistics.median(rounds), 2)


def table(case: Case) -> FilterTable:
    """Return a table of so many rules, the last of which covers the frame."""
    rules = tuple(
        PortRule(1000 * index + 80, 1000 * index + 90, affinity=Affinity.NONE)
        for index in range(case.rule_count)
    )
    buckets = Buckets(bytes((case.owner,)) * BUCKET_COUNT)
    return FilterTable(
        own=OWN,
        vmac=VMAC,
        station_mac=STATION,
        masked_mac=Mac.parse("02:01:0a:00:00:01"),
        key=HashKey(bytes(range(16))),
        vips=(Vip(IpAddress.parse("10.0.0.1"), OWN),),
        rules=rules,
        buckets=(buckets,) * (case.rule_count + 1),
    )


def frame(case: Case) -> bytes:
    """Return a TCP segment to the last rule of the case."""
    port = 1000 * (case.rule_count - 1) + 80
    ip = struct.pack("!BBHHHBBHII", 0x45, 0, 40, 0, 0, 64, 6, 0, 0x0A000063, 0x0A000001)
    tcp = struct.pack("!HHIIBBHHH", 40000, port, 1, 1, 5 << 4, 0x10, 65535, 0, 0)
    source = Mac.parse("02:00:00:00:00:99")
    data = case.destination.octets + source.octets + b"\x08\x00" + ip + tcp
    return data.ljust(60, b"\0")


def compile_program(source: Path, target: Path, *include: str) -> Path:
    """Compile one program against the headers of the data path."""
    headers = ("-I", str(OBJECT.parent))
    command = (*COMPILER, *FLAGS, *headers, *include, str(source), "-o", str(target))
    subprocess.run(command, check=True, timeout=120)
    return target


@contextmanager
def loaded_empty(folder: Path) -> Iterator[libbpf.FrameRunner]:
    """Load the empty program until the block ends."""
    compiled = compile_program(HERE / "empty.bpf.c", folder / "empty.bpf.o")
    loaded = libbpf.BpfObject(compiled)
    try:
        yield libbpf.FrameRunner(dict(loaded.programs())["empty"])
    finally:
        loaded.close()


@contextmanager
def loaded_filter(folder: Path, hash_name: str) -> Iterator[Datapath]:
    """Load the filter with this hash until the block ends."""
    header = HERE / hash_name / "hash.h"
    include = ("-include", str(header)) if header.exists() else ()
    compiled = compile_program(OBJECT.with_suffix(".c"), folder / f"{hash_name}.bpf.o", *include)
    bpffs.ensure_mounted()
    datapath = Datapath.load(bpffs.DIRECTORY / f"wlbs-bench-{os.getpid()}", compiled)
    try:
        yield datapath
    finally:
        datapath.remove()


if __name__ == "__main__":
    main()
