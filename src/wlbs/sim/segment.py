# SPDX-License-Identifier: Apache-2.0
"""The segment: one switch, and a link to every node.

Knows who is at which port, and what was cut. Knows nothing of what nodes do.
"""

from collections.abc import Callable
from functools import partial

from wlbs.core.address import Mac
from wlbs.scenario.steps import Cut
from wlbs.sim.link import Link, Quality, Wire
from wlbs.sim.prng import Prng
from wlbs.sim.schedule import Schedule
from wlbs.sim.switch import Switch, Watch


class Segment:
    """All that lies between the nodes."""

    def __init__(self, schedule: Schedule, seed: int, quality: Quality, switch: Switch) -> None:
        """Be a switch with nobody at it."""
        self._schedule = schedule
        self._seed = seed
        self._quality = quality
        self._switch = switch
        self._links: dict[str, Link] = {}
        self._receivers: dict[str, Callable[[bytes], None]] = {}

    def connect(self, node: str) -> Callable[[bytes], None]:
        """Connect a node and return what sends its frames; `deliver` says where its own go."""
        to_switch = self._wire(f"{node} to switch", partial(self._switch.receive, node))
        to_node = self._wire(f"switch to {node}", partial(self._receive, node))
        self._links[node] = Link(to_switch, to_node)
        self._switch.connect(node, to_node.carry)
        return to_switch.carry

    def deliver(self, node: str, receive: Callable[[bytes], None]) -> None:
        """Hand a node its frames."""
        self._receivers[node] = receive

    def cut(self, cut: Cut) -> None:
        """Drop matching frames from now on."""
        self._switch.cuts.append(cut)

    def heal(self) -> None:
        """Forward everything again."""
        self._switch.cuts.clear()

    def set_carrier(self, node: str, *, up: bool) -> None:
        """Take a node's carrier away or give it back."""
        self._links[node].set_carrier(up=up)
        if not up:
            self._switch.disconnect(node)

    def entries(self) -> tuple[tuple[Mac, str], ...]:
        """Return what the switch knows now."""
        return self._switch.entries()

    def _receive(self, node: str, data: bytes) -> None:
        self._receivers[node](data)

    def _wire(self, name: str, deliver: Callable[[bytes], None]) -> Wire:
        return Wire(self._schedule, Prng(self._seed, name), self._quality, deliver)


def new_segment(
    schedule: Schedule, seed: int, quality: Quality, vmac: Mac, watch: Watch
) -> Segment:
    """Return a segment whose switch is watched."""
    return Segment(schedule, seed, quality, Switch(schedule, vmac, watch))
