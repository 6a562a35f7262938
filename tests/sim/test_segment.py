# SPDX-License-Identifier: Apache-2.0
"""Segments of every shape forward and learn as those of the lab do."""

import pytest

from wlbs.core.address import BROADCAST, IpAddress, Mac, cluster_macs
from wlbs.core.frame import EtherType
from wlbs.scenario.evidence import Direction
from wlbs.scenario.forwarding import TableHistory
from wlbs.scenario.leaking import EXPERIMENTAL
from wlbs.scenario.steps import Cut
from wlbs.scenario.topology import Shape, Topology
from wlbs.sim.frames import Path, ethernet, udp
from wlbs.sim.igmp import MEMBERSHIP_NS, QUERY_INTERVAL_NS, RESPONSE_NS_MAX, Groups, group_mac
from wlbs.sim.link import Wiring
from wlbs.sim.prng import Prng
from wlbs.sim.schedule import NS_PER_MS, NS_PER_S, Schedule
from wlbs.sim.segment import Segment
from wlbs.sim.switch import AGEING_NS, Watch

VIP = Topology().vip
VMAC = Topology().vmac
GROUP = IpAddress.parse("239.255.0.100")


class Wires:
    """A segment of which only the wires matter: what comes out at each node."""

    def __init__(self, topology: Topology) -> None:
        """Connect every node."""
        self.topology = topology
        self.schedule = Schedule()
        self.history = TableHistory()
        self.frames: list[tuple[str, Direction, bytes]] = []
        watch = Watch(
            lambda port, way, data: self.frames.append((port, way, data)),
            lambda switch, mac, port: self.history.learn(self.now_s, switch, mac, port),
            lambda switch, mac: self.history.forget(self.now_s, switch, mac),
        )
        self.segment = Segment(self.schedule, Wiring(1), topology, VMAC, watch)
        self.got: list[tuple[str, bytes]] = []
        self.groups: dict[str, Groups] = {}
        for node in topology.nodes:
            send = self.segment.connect(node.name)
            self.groups[node.name] = Groups(self.schedule, Prng(1, node.name), node, send)
            self.segment.deliver(node.name, lambda data, name=node.name: self._take(name, data))  # type: ignore[misc]
        self.segment.begin()

    @property
    def now_s(self) -> float:
        """The time, as evidence gives it."""
        return self.schedule.now / NS_PER_S

    def wait(self, nanoseconds: int) -> None:
        """Let time pass."""
        self.schedule.run_until(self.schedule.now + nanoseconds)

    def reached(self, sender: str, data: bytes) -> set[str]:
        """Send a frame and return who gets it."""
        self.got.clear()
        self.segment.transmit(sender, data)
        self.wait(NS_PER_MS)
        return {name for name, got in self.got if got == data}

    def frame(self, sender: str, destination: Mac) -> bytes:
        """Return a frame of a node."""
        return ethernet(destination, self.topology.node(sender).mac, EXPERIMENTAL, b"payload")

    def introduce(self) -> None:
        """Have every node send a frame."""
        for node in self.topology.nodes:
            self.reached(node.name, self.frame(node.name, BROADCAST))

    def places(self, mac: Mac) -> dict[str, str]:
        """Return the port at which each switch holds an address now."""
        return {
            each.switch: each.port
            for each in self.history.entries()
            if each.mac == mac and each.gone_s is None
        }

    def _take(self, name: str, data: bytes) -> None:
        self.got.append((name, data))
        self.groups[name].receive(data)


def test_a_hub_learns_nothing_and_sends_everything_everywhere() -> None:
    wires = Wires(Topology(2, 1, Shape.HUB))
    wires.introduce()
    h2 = wires.topology.node("h2").mac
    assert wires.reached("h1", wires.frame("h1", h2)) == {"h2", "c1"}
    assert wires.history.entries() == ()


def test_a_tree_learns_along_the_way_alone() -> None:
    wires = Wires(Topology(3, 2, Shape.TREE, stranger=True))
    wires.introduce()
    h1, h2 = wires.topology.node("h1").mac, wires.topology.node("h2").mac
    assert wires.places(h1) == {"s1": "h1", "s2": "s1", "s3": "s2"}
    everybody = {"h1", "h2", "h3", "c2", "x1"}
    assert wires.reached("c1", wires.frame("c1", VMAC)) == everybody
    leak = ethernet(h2, VMAC, EXPERIMENTAL, b"a leak")
    assert wires.reached("h1", leak) == {"h2"}
    assert wires.places(VMAC) == {"s1": "h1", "s2": "s1"}
    assert wires.reached("c2", wires.frame("c2", VMAC)) == {"h1"}
    assert wires.reached("h3", wires.frame("h3", VMAC)) == {"h1"}


def test_a_frame_is_seen_at_the_ports_of_nodes_and_not_on_trunks() -> None:
    wires = Wires(Topology(3, 1, Shape.TREE))
    wires.reached("c1", wires.frame("c1", BROADCAST))
    assert sorted((port, way) for port, way, _ in wires.frames) == [
        ("c1", Direction.FROM_NODE),
        ("h1", Direction.TO_NODE),
        ("h2", Direction.TO_NODE),
        ("h3", Direction.TO_NODE),
    ]


def test_a_cut_in_a_tree_is_at_the_switch_of_whom_it_concerns() -> None:
    wires = Wires(Topology(2, 2, Shape.TREE))
    frame = wires.frame("c1", BROADCAST)
    wires.segment.cut(Cut(None, "h2"))
    assert wires.reached("c1", frame) == {"h1", "c2"}
    wires.segment.heal()
    wires.segment.cut(Cut("c1", "h1"))
    assert wires.reached("c1", frame) == {"h2", "c2"}
    with pytest.raises(AssertionError, match="not at the same switch"):
        wires.segment.cut(Cut("c1", "h2"))


def test_a_port_that_blocks_unknown_unicast_gets_what_is_known_and_what_is_for_all() -> None:
    wires = Wires(Topology(2, 2, Shape.BLOCKING))
    wires.introduce()
    h1 = wires.topology.node("h1").mac
    assert wires.reached("c1", wires.frame("c1", VMAC)) == {"c2"}
    assert wires.reached("c1", wires.frame("c1", h1)) == {"h1"}
    assert wires.reached("c1", wires.frame("c1", BROADCAST)) == {"h1", "h2", "c2"}


def test_ageing_can_be_set_and_every_entry_has_its_end() -> None:
    wires = Wires(Topology(2, 1))
    wires.reached("h1", ethernet(BROADCAST, VMAC, EXPERIMENTAL, b""))
    wires.reached("h2", ethernet(BROADCAST, VMAC, EXPERIMENTAL, b""))
    wires.segment.set_carrier("h2", up=False)
    wires.segment.set_carrier("h2", up=True)
    wires.reached("h1", ethernet(BROADCAST, VMAC, EXPERIMENTAL, b""))
    wires.segment.set_ageing(0.25)
    wires.wait(NS_PER_S // 5)
    wires.reached("h1", ethernet(BROADCAST, VMAC, EXPERIMENTAL, b""))
    wires.wait(NS_PER_S // 5)
    assert wires.places(VMAC) == {"s1": "h1"}
    wires.wait(NS_PER_S // 5)
    wires.segment.set_ageing(None)
    moved, lost, aged = wires.history.entries()
    assert (moved.port, lost.port, aged.port) == ("h1", "h2", "h1")
    assert moved.gone_s == lost.at_s
    assert lost.gone_s is not None
    assert lost.gone_s <= aged.at_s
    assert aged.gone_s == pytest.approx(0.25 + 0.2, abs=0.01)
    wires.reached("h1", ethernet(BROADCAST, VMAC, EXPERIMENTAL, b""))
    wires.wait(AGEING_NS - 2 * NS_PER_MS)
    assert wires.places(VMAC) == {"s1": "h1"}
    wires.segment.set_ageing(10)
    assert wires.places(VMAC) == {}, "what is older than that is forgotten at once"


def test_who_may_remember_for_no_time_learns_nothing() -> None:
    wires = Wires(Topology(2, 1))
    wires.segment.set_ageing(0)
    wires.introduce()
    assert wires.history.entries() == ()


def test_a_storm_control_drops_what_is_flooded_above_its_limit() -> None:
    wires = Wires(Topology(2, 1))
    wires.introduce()
    wires.schedule.run_until(NS_PER_S)
    wires.segment.limit_flooding(10)
    h2 = wires.topology.node("h2").mac

    def passed(frame: bytes) -> int:
        return sum(bool(wires.reached("c1", frame)) for _ in range(30))

    assert passed(wires.frame("c1", VMAC)) == 10
    assert passed(wires.frame("c1", BROADCAST)) == 0, "one limit for all that is flooded"
    assert passed(wires.frame("c1", h2)) == 30
    assert wires.reached("h1", wires.frame("h1", BROADCAST)), "each port has its own limit"
    wires.schedule.run_until(2 * NS_PER_S)
    assert passed(wires.frame("c1", BROADCAST)) == 10
    wires.segment.limit_flooding(None)
    assert passed(wires.frame("c1", BROADCAST)) == 30


def snooping() -> Wires:
    """Return a segment in which h1 is a member of the group, and has said so."""
    wires = Wires(Topology(2, 2, Shape.SNOOPING))
    wires.groups["h1"].join(GROUP)
    wires.wait(NS_PER_MS)
    return wires


def test_a_switch_that_snoops_goes_by_the_frame_and_not_by_the_packet() -> None:
    wires = snooping()
    macs = cluster_macs(VIP)
    assert group_mac(GROUP) == macs.igmp
    packet = udp(Path(wires.topology.node("c1").address, 1, VIP, 2), b"")
    to_vip = ethernet(macs.igmp, wires.topology.node("c1").mac, EtherType.IPV4, packet)
    assert wires.reached("c1", to_vip) == {"h1"}
    assert wires.reached("c1", wires.frame("c1", macs.igmp)) == {"h1"}, "whatever is in it"
    assert wires.reached("h1", wires.frame("h1", macs.igmp)) == set()
    others = {"h1", "h2", "c2"}
    assert wires.reached("c1", wires.frame("c1", macs.multicast)) == others, "no IPv4 group"
    assert wires.reached("c1", wires.frame("c1", BROADCAST)) == others
    all_systems = group_mac(IpAddress.parse("224.0.0.1"))
    assert wires.reached("c1", wires.frame("c1", all_systems)) == others


def test_a_member_that_leaves_or_loses_its_carrier_is_none_any_more() -> None:
    wires = snooping()
    to_group = wires.frame("c1", group_mac(GROUP))
    wires.groups["h2"].join(GROUP)
    wires.wait(NS_PER_MS)
    assert wires.reached("c1", to_group) == {"h1", "h2"}
    wires.groups["h2"].leave(GROUP)
    wires.wait(NS_PER_MS)
    assert wires.reached("c1", to_group) == {"h1"}
    wires.segment.set_carrier("h1", up=False)
    wires.segment.set_carrier("h1", up=True)
    assert wires.reached("c1", to_group) == set()


def test_members_answer_the_querier_and_are_forgotten_when_they_no_longer_do() -> None:
    wires = snooping()
    to_group = wires.frame("c1", group_mac(GROUP))
    wires.schedule.run_until(4 * MEMBERSHIP_NS)
    assert wires.reached("c1", to_group) == {"h1"}
    del wires.groups["h1"]
    wires.groups["h1"] = Groups(
        wires.schedule, Prng(1, "deaf"), wires.topology.node("h1"), lambda _: None
    )
    wires.wait(MEMBERSHIP_NS - QUERY_INTERVAL_NS - RESPONSE_NS_MAX)
    assert wires.reached("c1", to_group) == {"h1"}
    wires.wait(MEMBERSHIP_NS)
    assert wires.reached("c1", to_group) == set()
