# SPDX-License-Identifier: Apache-2.0
"""What several scripts share: who plays which part, what always holds, and how long things take.

Knows no script.
"""

from typing import Final

from wlbs.scenario.expectations import Holds
from wlbs.scenario.topology import Topology

HEARTBEAT_S: Final = 0.1
DETECTION_S: Final = 0.3
"""The protocol's defaults: a heartbeat every 100 ms, dead after three are missing."""

FLAGS_S: Final = 5.0
"""How soon after its last old connection has ended a bucket is unflagged at the latest."""

PORT: Final = 80
"""Where affinity is none, so that each connection falls into a bucket of its own."""

ALWAYS: Final = (
    Holds.CAPTURES_COMPLETE,
    Holds.VMAC_UNLEARNED,
    Holds.VMAC_UNSENT,
    Holds.NEVER_TWO_OWNERS,
)
"""What holds whatever happens to the hosts."""


def victim_of(topology: Topology) -> str:
    """Return the host to which things happen: the second, so that it is no default host."""
    return topology.hosts[min(1, topology.host_count - 1)].name


def names_of(topology: Topology) -> tuple[str, ...]:
    """Return the names of all hosts."""
    return tuple(host.name for host in topology.hosts)
