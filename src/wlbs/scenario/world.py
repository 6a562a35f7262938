# SPDX-License-Identifier: Apache-2.0
"""What a world must offer for scenarios to run in it.

Knows no world. Whoever implements it observes from outside the agents and judges nothing.
"""

from typing import Protocol

from wlbs.core.buckets import HashKey
from wlbs.core.cluster import Cluster
from wlbs.scenario.draw import PlannedFlow
from wlbs.scenario.evidence import Evidence
from wlbs.scenario.setup import Setup
from wlbs.scenario.steps import Cut, Do, SendFrom
from wlbs.scenario.topology import Topology


class World(Protocol):
    """A segment with hosts, clients and a switch, real or not."""

    @property
    def name(self) -> str:
        """The world's name in reports."""

    @property
    def cluster(self) -> Cluster:
        """The cluster as its hosts are configured; known once `begin` has returned."""

    def begin(self, topology: Topology, key: HashKey, setup: Setup) -> None:
        """Build the topology, start a cluster with this key and setup, and begin to observe.

        Returns when every host holds its share.
        """

    def elapsed_s(self) -> float:
        """Return the time since `begin` returned: the clock of all evidence."""

    def send(self, flows: tuple[PlannedFlow, ...]) -> None:
        """Open these connections, and return when each has been answered or has failed."""

    def open_connections(self, flows: tuple[PlannedFlow, ...]) -> None:
        """Open long-lived connections, and return when each is open or has failed."""

    def close_connections(self, batch: str, host: str | None) -> None:
        """Close those of a batch (to one host), and return when clients have closed them."""

    def vanish(self, batch: str) -> None:
        """Have the clients forget the connections of a batch; hosts are told nothing."""

    def visit(self, batch: str) -> None:
        """Have every host and client open a connection to each other host's own address."""

    def begin_attempts(self, flows: tuple[PlannedFlow, ...], interval_s: float) -> None:
        """Begin to open these connections, one each interval, and return at once."""

    def end_attempts(self, batch: str) -> None:
        """Open no further connection of a batch; return when those under way have ended."""

    def wait(self, seconds: float) -> None:
        """Let the world go on."""

    def cut(self, cut: Cut) -> None:
        """Have the switch drop matching frames from now on."""

    def heal(self) -> None:
        """Have the switch forward everything again."""

    def set_carrier(self, host: str, *, up: bool) -> None:
        """Take a host's link away or give it back."""

    def do(self, do: Do) -> None:
        """Do something to a host's agent, and return when it is done."""

    def await_stopped(self, host: str, seconds: float) -> bool:
        """Return once a host has stopped or its agent has ended; False if it has not in time."""

    def await_holders(self, hosts: tuple[str, ...], seconds: float, *, unflagged: bool) -> bool:
        """Return once these hosts hold each bucket once, none flagged if wanted; False if late."""

    def send_cookies(self, host: str | None) -> None:
        """Have this host answer each SYN by a cookie that no other host knows; or none."""

    def occupy(self, *, busy: bool) -> None:
        """Keep every processor of the hosts busy with other programs, or no longer."""

    def send_from(self, order: SendFrom) -> None:
        """Begin to send frames from the VMAC, and return when the first is on the segment."""

    def stop_sending(self, node: str) -> None:
        """Have a node send none of these any more."""

    def set_ageing(self, seconds: float | None) -> None:
        """Have the switches forget what they have not seen for so long, or as they came."""

    def limit_flooding(self, frames_per_s: int | None) -> None:
        """Have the switches flood no more than this of each port."""

    def finish(self) -> Evidence:
        """Stop observing and return all that was observed."""
