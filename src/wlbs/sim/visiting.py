# SPDX-License-Identifier: Apache-2.0
"""Connections that nodes open to hosts' own addresses.

Knows who visits whom. Knows nothing of how a node opens a connection, or of who should be reached.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, Protocol

from wlbs.core.address import IpAddress
from wlbs.scenario.draw import PlannedFlow
from wlbs.scenario.evidence import Attempt
from wlbs.scenario.topology import Topology
from wlbs.sim.client import Asking
from wlbs.sim.schedule import Schedule

PORT: Final = 80

FIRST_SOURCE_PORT: Final = 50000
"""Of the dynamic ports (RFC 6335, 6): each visit has one of its own."""


class Visitor(Protocol):
    """A node that opens connections."""

    def ask(self, server: IpAddress, asking: Asking) -> None:
        """Open a connection, ask once, settle the outcome."""


class Visits:
    """All visits of one world."""

    def __init__(
        self, schedule: Schedule, topology: Topology, visitors: Mapping[str, Visitor]
    ) -> None:
        """Begin with none."""
        self._schedule = schedule
        self._topology = topology
        self._visitors = visitors
        self._asked: list[Asking] = []

    def begin(self, batch: str) -> Callable[[], bool]:
        """Begin them all at once; return what tells whether some are still under way."""
        asked = []
        for node in (*self._topology.hosts, *self._topology.clients):
            for host in self._topology.hosts:
                if host != node:
                    port = FIRST_SOURCE_PORT + len(self._asked)
                    flow = PlannedFlow(batch, node.name, node.address, port, PORT)
                    asking = Asking(flow, int(self._schedule.now), lambda: None)
                    self._asked.append(asking)
                    asked.append(asking)
                    self._visitors[node.name].ask(host.address, asking)
        return lambda: any(not each.has_ended for each in asked)

    def attempts(self, origin_ns: int) -> tuple[Attempt, ...]:
        """Return what became of each as evidence."""
        return tuple(replace(each.outcome(origin_ns), to_vip=False) for each in self._asked)
