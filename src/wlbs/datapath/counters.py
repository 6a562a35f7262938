# SPDX-License-Identifier: Apache-2.0
"""The programs' counters: frames by reason, delivery probes by sender.

Knows that each processor counts reasons for itself. Knows nothing of what a reason means.
"""

from wlbs.core.reason import Reason
from wlbs.datapath.layout import COUNTER
from wlbs.linux import libbpf


def read_counters(counters_fd: int) -> dict[Reason, int]:
    """Return how many frames every reason has had since the programs were loaded."""
    return {reason: read_counter(counters_fd, reason) for reason in Reason}


def read_counter(counters_fd: int, reason: Reason) -> int:
    """Return how many frames one reason has had; 0 if the programs do not know it yet."""
    size = COUNTER.size * libbpf.possible_cpu_count()
    value = libbpf.lookup(counters_fd, reason.to_bytes(4, "little"), size)
    return sum(count for (count,) in COUNTER.iter_unpack(value)) if value else 0


def read_delivery_probes(probes_fd: int, host_count: int) -> tuple[int, ...]:
    """Return how many delivery probes came from each of the first hosts, by index."""
    values = (
        libbpf.lookup(probes_fd, host.to_bytes(4, "little"), COUNTER.size)
        for host in range(host_count)
    )
    return tuple(COUNTER.unpack(value)[0] if value else 0 for value in values)
