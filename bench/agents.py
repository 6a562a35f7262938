# SPDX-License-Identifier: Apache-2.0
"""Measures what an agent costs while nothing happens: processor time and memory, by cluster size.

Knows a lab of so many hosts on this machine, and what the kernel says of its agents' processes.
Nothing is compared with anything else: the figures are this machine's.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from wlbs.lab.build import build, start_cluster
from wlbs.lab.names import LabNames
from wlbs.lab.sweep import processes_in, sweep
from wlbs.scenario.topology import Topology

HOST_COUNTS: Final = (3, 16)
SETTLE_S: Final = 5.0
"""After this long a cluster has converged, and what its members could not know yet is known."""
MEASURE_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Cost:
    """The median over the agents of one cluster."""

    host_count: int
    cpu_percent: float
    """Of one processor."""
    memory_mib: float
    """Resident; the shared pages of interpreter and libraries are counted for each agent."""
    own_memory_mib: float
    """What ends with the process."""


def main() -> None:
    """Measure, print a line for each size, add the figures to the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--add-to", type=Path, required=True)
    output: Path = parser.parse_args().add_to
    costs = [measure(count) for count in HOST_COUNTS]
    for cost in costs:
        print(
            f"one agent of {cost.host_count:2}: {cost.cpu_percent:4.1f} % of a processor,"
            f" {cost.memory_mib:.0f} MiB resident, {cost.own_memory_mib:.0f} MiB its own"
        )
    figures = json.loads(output.read_text("utf-8")) if output.exists() else {}
    figures["agents"] = [asdict(cost) for cost in costs]
    output.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")


def measure(host_count: int) -> Cost:
    """Return what one agent of a cluster of this size costs."""
    with running(host_count) as agents:
        time.sleep(SETTLE_S)
        before = {pid: cpu_s(pid) for pid in agents}
        start = time.monotonic()
        time.sleep(MEASURE_S)
        elapsed_s = time.monotonic() - start
        used = [100 * (cpu_s(pid) - before[pid]) / elapsed_s for pid in agents]
        memory = [memory_mib(pid) for pid in agents]
    return Cost(
        host_count,
        round(statistics.median(used), 2),
        round(statistics.median(resident for resident, _ in memory), 1),
        round(statistics.median(own for _, own in memory), 1),
    )


@contextmanager
def running(host_count: int) -> Iterator[tuple[int, ...]]:
    """Run a cluster until the block ends; yield the processes of its agents."""
    names, topology = LabNames(f"bench{os.getpid()}"), Topology(host_count, 1)
    try:
        build(names, topology)
        start_cluster(names, topology)
        yield tuple(
            pid
            for host in topology.hosts
            for pid in processes_in(names.namespace(host.name))
            if is_agent(pid)
        )
    finally:
        sweep(names.lab)


def is_agent(pid: int) -> bool:
    """Whether a process is an agent itself, not the shell that watches it."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return b"agent" in words and b"python" in words[0]


def cpu_s(pid: int) -> float:
    """Return the processor time a process has used, as the scheduler measured it.

    The times in /proc/PID/stat are sampled at ticks, and an agent's timers fire at ticks: it showed
    0.6 % in one run and 3.3 % in the next.
    """
    return int(Path(f"/proc/{pid}/schedstat").read_text("utf-8").split()[0]) / 1e9


def memory_mib(pid: int) -> tuple[float, float]:
    """Return how much memory a process has, and how much of it is nobody else's."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text("utf-8").splitlines()[1:]
    kib = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
    return kib["Rss"] / 1024, (kib["Private_Clean"] + kib["Private_Dirty"]) / 1024


if __name__ == "__main__":
    main()
