# SPDX-License-Identifier: Apache-2.0
"""What a world must offer for scenarios to run in it.

Knows no world. Whoever implements it observes from outside the agents and judges nothing.
"""

from typing import Protocol

from wlbs.core.buckets import HashKey
from wlbs.scenario.draw import PlannedFlow
from wlbs.scenario.evidence import Evidence
from wlbs.scenario.topology import Topology


class World(Protocol):
    """A segment with hosts, clients and a switch, real or not."""

    @property
    def name(self) -> str:
        """The world's name in reports."""

    def begin(self, topology: Topology, key: HashKey) -> None:
        """Build the topology, start a cluster with this key, and begin to observe."""

    def send(self, flows: tuple[PlannedFlow, ...]) -> None:
        """Open these connections, and return when each has been answered or has failed."""

    def leak(self, host: str) -> None:
        """Send a frame with the VMAC as its source from a host, and see it on the segment."""

    def finish(self) -> Evidence:
        """Stop observing and return all that was observed."""
