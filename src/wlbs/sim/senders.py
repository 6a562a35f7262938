# SPDX-License-Identifier: Apache-2.0
"""What sends frames with the VMAC as their source, at its pace.

Knows when each frame is due. Knows nothing of how a node sends it, or of what comes of it.
"""

from collections.abc import Callable, Mapping
from functools import partial

from wlbs.scenario.leaking import frame_of
from wlbs.scenario.steps import SendFrom, Way
from wlbs.scenario.topology import Topology
from wlbs.sim.host import Host
from wlbs.sim.schedule import NS_PER_S, Plan, Schedule
from wlbs.sim.segment import Segment

Outlets = Mapping[tuple[str, Way], Callable[[bytes], None]]
"""What sends a frame of a node, this way."""


def outlets(topology: Topology, segment: Segment, hosts: Mapping[str, Host]) -> Outlets:
    """Return how each node sends what it is told to; those without a guard all ways alike."""
    found: dict[tuple[str, Way], Callable[[bytes], None]] = {
        (node.name, way): partial(segment.transmit, node.name)
        for node in topology.nodes
        for way in Way
    }
    for name, host in hosts.items():
        found[name, Way.ABOVE] = host.send
        found[name, Way.BELOW] = host.send_below
    return found


class Senders:
    """Everything that sends in one world, by node."""

    def __init__(
        self,
        schedule: Schedule,
        topology: Topology,
        outlets: Outlets,
        hosts: Mapping[str, Host],
    ) -> None:
        """Send nothing yet."""
        self._hosts = hosts
        self._schedule = schedule
        self._topology = topology
        self._outlets = outlets
        self._planned: dict[str, list[Plan]] = {}
        self._past_guard: list[tuple[str, bytes]] = []

    def send_from(self, order: SendFrom) -> None:
        """Send the first frame now and plan the others."""
        host = self._hosts.get(order.node)
        device = host.device_mac if host else self._topology.node(order.node).mac
        frame = frame_of(order, self._topology, device)
        send = self._outlets[order.node, order.way]
        if order.way is not Way.ABOVE or host is None:
            self._past_guard.append((order.node, frame))
        send(frame)
        interval_ns = round(order.interval_s * NS_PER_S)
        plans = self._planned.setdefault(order.node, [])
        for number in range(1, order.count):
            plans.append(self._schedule.after(number * interval_ns, lambda: send(frame)))

    def stop(self, node: str) -> None:
        """Send no further frame of a node."""
        for plan in self._planned.pop(node, []):
            plan.cancel()

    def sent_past_guard(self, node: str, data: bytes) -> bool:
        """Tell whether a frame was told to be sent where no guard could have seen it."""
        return (node, data) in self._past_guard
