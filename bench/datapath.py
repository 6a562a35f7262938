# SPDX-License-Identifier: Apache-2.0
"""Measures the filter's cost per frame, as a ratio to an empty XDP program in the same run.

Knows the kernel's test run, which leaves out the driver: what is measured is the program, with the
test run's own loop on both sides of the ratio. Ratios, because nanoseconds are the machine's; but
how many instructions a processor finishes at once differs as well, so that the ratios of two
machines do not compare either, and the output names the machine. Each round measures the empty
program and then the filter with every hash; what is reported is the median of the rounds' ratios,
with the lowest and the highest.
"""

import argparse
import json
import os
import platform
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from wlbs.core.address import IpAddress, Mac
from wlbs.core.buckets import BUCKET_COUNT, HashKey
from wlbs.core.protocol.events import Instant
from wlbs.core.reason import Reason
from wlbs.core.rules import Affinity, HostIndex, PortRule
from wlbs.core.table import Buckets, FilterTable, Vip
from wlbs.datapath.loader import OBJECT, Datapath
from wlbs.linux import bpffs, libbpf
from wlbs.linux.clock import now

HERE: Final = Path(__file__).parent / "bpf"
COMPILER: Final = (sys.executable, "-m", "ziglang", "cc", "-target", "bpfel-freestanding")
FLAGS: Final = ("-mcpu=v3", "-O2", "-g", "-fno-stack-protector", "-c")
ROUNDS: Final = 15
REPEAT: Final = 200_000
REPEAT_MIN: Final = 2
"""The fewest repetitions that the kernel prepares for as it does for many."""
SHIPPED: Final = "siphash_1_3"
NO_HASH: Final = "none"
HASHES: Final = (SHIPPED, "siphash_2_4", "tabulation", "multiply_add", NO_HASH)
LEASE_NS: Final = 3_600_000_000_000

VMAC: Final = Mac.parse("02:bf:0a:00:00:01")
OWN: Final = HostIndex(0)
OTHER: Final = HostIndex(1)


@dataclass(frozen=True, slots=True)
class Case:
    """One frame through one filter under one table, and what must become of it."""

    name: str
    reason: Reason
    rule_count: int
    owner: HostIndex = OTHER
    destination: Mac = VMAC
    receiver: HostIndex | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one case under one hash, in costs of the empty program."""

    median: float
    lowest: float
    highest: float
    hash_share: float
    """How much of the median goes with the hash."""


CASES: Final = tuple(
    case
    for count in (1, 32)
    for case in (
        Case(f"not mine, {count} rules", Reason.NOT_OWNER, count),
        Case(f"mine, {count} rules", Reason.OWNER, count, OWN),
        Case(
            f"not for the cluster, {count} rules",
            Reason.NOT_CLUSTER,
            count,
            destination=Mac.parse("02:00:00:00:00:77"),
        ),
        Case(f"mine by relay, {count} rules", Reason.OWNER, count, OWN, receiver=OWN),
        Case(f"awaited by relay, {count} rules", Reason.RELAY_AWAITED, count, receiver=OTHER),
    )
)


def main() -> None:
    """Measure everything, print a table, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    output: Path = parser.parse_args().output
    costs = measure()
    for case, by_hash in costs.items():
        for hash_name, cost in by_hash.items():
            print(
                f"{case:30} {hash_name:13} {cost.median:5.2f} of empty"
                f" ({cost.lowest:.2f} to {cost.highest:.2f}), hash {cost.hash_share:5.2f}"
            )
    figures = {
        case: {name: asdict(cost) for name, cost in by_hash.items()}
        for case, by_hash in costs.items()
    }
    result = {"machine": machine(), "of_empty": figures}
    output.write_text(json.dumps(result, indent=2) + "\n", "utf-8")


def machine() -> dict[str, str]:
    """Return what the ratios depend on besides the programs."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    words = {
        name.strip(): value.strip() for name, _, value in (each.partition(":") for each in lines)
    }
    names = ("model name", "cpu family", "model", "stepping")
    found = {name.replace(" ", "_"): words[name] for name in names if name in words}
    return {"kernel": platform.release(), "machine": platform.machine(), **found}


def measure() -> dict[str, dict[str, Cost]]:
    """Return the cost of each case under each hash."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        empty = stack.enter_context(loaded_empty(Path(name)))
        filters = {
            hash_name: stack.enter_context(loaded_filter(Path(name), hash_name))
            for hash_name in HASHES
        }
        return {case.name: measure_case(filters, empty, case) for case in CASES}


def measure_case(
    filters: dict[str, Datapath], empty: libbpf.FrameRunner, case: Case
) -> dict[str, Cost]:
    """Return the cost of a case under each hash, over rounds that measure everything once."""
    for datapath in filters.values():
        datapath.install(table(case))
        datapath.hold_lease(Instant(now() + LEASE_NS))
    runners = {
        name: libbpf.FrameRunner(datapath.descriptor("wlbs_filter"))
        for name, datapath in filters.items()
    }
    before = {name: datapath.counters() for name, datapath in filters.items()}
    ratios: dict[str, list[float]] = {name: [] for name in filters}
    for _ in range(ROUNDS):
        unit_ns = run_ns(empty, case)
        for name, runner in runners.items():
            ratios[name].append(run_ns(runner, case) / unit_ns)
    for name, datapath in filters.items():
        changed = {r for r, count in datapath.counters().items() if count > before[name][r]}
        assert changed == {case.reason}, f"{case.name} under {name} met {changed}"
    medians = {name: statistics.median(each) for name, each in ratios.items()}
    return {
        name: Cost(
            round(medians[name], 3),
            round(min(each), 3),
            round(max(each), 3),
            round(medians[name] - medians[NO_HASH], 3),
        )
        for name, each in ratios.items()
    }


def run_ns(runner: libbpf.FrameRunner, case: Case) -> float:
    """Return the processor time of many runs less that of few, for one run.

    The kernel's own figure is in whole nanoseconds, of which the empty program takes about 25.
    Elapsed time will not do: before and after, the kernel waits for other processors.
    """
    data = frame(case)
    start = time.thread_time_ns()
    runner.run(data, REPEAT_MIN)
    between = time.thread_time_ns()
    runner.run(data, REPEAT)
    end = time.thread_time_ns()
    return ((end - between) - (between - start)) / (REPEAT - REPEAT_MIN)


def table(case: Case) -> FilterTable:
    """Return a table of so many rules, the last of which covers the frame.

    The station MAC is the VMAC: the test run gives the program its own buffer again, and a frame
    that was kept would come again as one to the station.
    """
    rules = tuple(
        PortRule(1000 * index + 80, 1000 * index + 90, affinity=Affinity.NONE)
        for index in range(case.rule_count)
    )
    buckets = Buckets(bytes((case.owner,)) * BUCKET_COUNT)
    return FilterTable(
        own=OWN,
        vmac=VMAC,
        station_mac=VMAC,
        masked_mac=Mac.parse("02:01:0a:00:00:01"),
        key=HashKey(bytes(range(16))),
        vips=(Vip(IpAddress.parse("10.0.0.1"), OWN),),
        rules=rules,
        buckets=(buckets,) * (case.rule_count + 1),
        receiver=case.receiver,
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
    datapath = Datapath.load(bpffs.DIRECTORY / f"wlbs-bench-{os.getpid()}-{hash_name}", compiled)
    try:
        yield datapath
    finally:
        datapath.remove()


if __name__ == "__main__":
    main()
