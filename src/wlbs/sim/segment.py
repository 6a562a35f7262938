# SPDX-License-Identifier: Apache-2.0
"""The segment: its switches, the trunks between them, and a link to every node.

Knows who is at which port, what each shape asks of a switch, and what was cut. Knows nothing of
what nodes do.
"""

from collections.abc import Callable
from functools import partial

from wlbs.core.address import Mac
from wlbs.scenario.steps import Cut
from wlbs.scenario.topology import Shape, Topology
from wlbs.sim.link import Link, Wire, Wiring
from wlbs.sim.prng import Prng
from wlbs.sim.schedule import NS_PER_S, Schedule
from wlbs.sim.snooping import Snooping
from wlbs.sim.switch import AGEING_NS, Port, Switch, Watch


class Segment:
    """All that lies between the nodes."""

    def __init__(
        self, schedule: Schedule, wiring: Wiring, topology: Topology, vmac: Mac, watch: Watch
    ) -> None:
        """Be switches with nobody at them."""
        self._schedule = schedule
        self._wiring = wiring
        self._vmac = vmac
        self._topology = topology
        self._switches = {each: self._new_switch(each, watch) for each in topology.switches}
        self._links: dict[str, Link] = {}
        self._receivers: dict[str, Callable[[bytes], None]] = {}
        for one, other in topology.trunks:
            self._connect_trunk(one, other)
            self._connect_trunk(other, one)

    def connect(self, node: str) -> Callable[[bytes], None]:
        """Connect a node and return what sends its frames; `deliver` says where its own go."""
        switch = self._switch_of(node)
        to_switch = self._wire(f"{node} to switch", partial(switch.receive, node))
        to_node = self._wire(f"switch to {node}", partial(self._receive, node))
        self._links[node] = Link(to_switch, to_node)
        is_host = any(host.name == node for host in self._topology.hosts)
        blocks_unknown = is_host and self._topology.shape is Shape.BLOCKING
        switch.connect(node, Port(to_node.carry, blocks_unknown=blocks_unknown))
        return to_switch.carry

    def deliver(self, node: str, receive: Callable[[bytes], None]) -> None:
        """Hand a node its frames."""
        self._receivers[node] = receive

    def begin(self) -> None:
        """Have the switches do what they do by themselves, once everybody is connected."""
        for switch in self._switches.values():
            if switch.snooping is not None:
                switch.snooping.begin(switch.flood)

    def transmit(self, node: str, data: bytes) -> None:
        """Have a frame come in at a node's port, whoever has sent it."""
        self._links[node].to_switch.carry(data)

    def cut(self, cut: Cut) -> None:
        """Drop matching frames from now on.

        A switch knows by which of its ports a frame came, not who sent it: in a tree the sender
        and the receiver of a cut sit at one switch, or one of them is everybody.
        """
        at = {self._switch_of(each).name for each in (cut.sender, cut.receiver) if each}
        assert len(at) <= 1, f"{cut.sender} and {cut.receiver} are not at the same switch"
        for switch in self._switches.values():
            if not at or switch.name in at:
                switch.cuts.append(cut)

    def heal(self) -> None:
        """Forward everything again."""
        for switch in self._switches.values():
            switch.cuts.clear()

    def set_carrier(self, node: str, *, up: bool) -> None:
        """Take a node's carrier away or give it back."""
        self._links[node].set_carrier(up=up)
        if not up:
            self._switch_of(node).disconnect(node)

    def set_ageing(self, seconds: float | None) -> None:
        """Have switches forget what they have not seen for so long; None: the default."""
        for switch in self._switches.values():
            switch.set_ageing(AGEING_NS if seconds is None else round(seconds * NS_PER_S))

    def limit_flooding(self, frames_per_s: int | None) -> None:
        """Have switches flood no more than this of each port; None: any number."""
        assert frames_per_s is None or frames_per_s > 0, "a limit of nothing would cut everything"
        for switch in self._switches.values():
            switch.flood_limit = frames_per_s

    def _switch_of(self, node: str) -> Switch:
        return self._switches[self._topology.node(node).switch]

    def _new_switch(self, name: str, watch: Watch) -> Switch:
        shape = self._topology.shape
        return Switch(
            self._schedule,
            self._vmac,
            watch,
            name,
            learns=shape is not Shape.HUB,
            snooping=Snooping(self._schedule) if shape is Shape.SNOOPING else None,
        )

    def _connect_trunk(self, one: str, other: str) -> None:
        """Lay the wire on which frames go from one switch to another."""
        receive = partial(self._switches[other].receive, one)
        wire = self._wire(f"{one} to {other}", receive)
        self._switches[one].connect(other, Port(wire.carry, is_trunk=True))

    def _receive(self, node: str, data: bytes) -> None:
        self._receivers[node](data)

    def _wire(self, name: str, deliver: Callable[[bytes], None]) -> Wire:
        return Wire(self._schedule, Prng(self._wiring.seed, name), self._wiring.quality, deliver)
