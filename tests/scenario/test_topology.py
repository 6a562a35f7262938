# SPDX-License-Identifier: Apache-2.0
"""Who is where can be guessed, and each frame from the VMAC is what it is called."""

import pytest
from scapy.layers.l2 import ARP, SNAP, Dot3, Ether

from wlbs.core.address import BROADCAST, Mac
from wlbs.core.announcement import Announcement, decode
from wlbs.scenario.evidence import BridgeEntry
from wlbs.scenario.forwarding import TableHistory
from wlbs.scenario.leaking import EXPERIMENTAL, SIZE_MIN, frame_of
from wlbs.scenario.steps import Leaked, SendFrom
from wlbs.scenario.topology import CLIENT_COUNT_MAX, HOST_COUNT_MAX, Shape, Topology

ONE, OTHER = Mac.parse("06:00:00:00:01:01"), Mac.parse("06:00:00:00:01:02")


def test_every_shape_but_a_tree_has_one_switch() -> None:
    for shape in Shape:
        topology = Topology(3, 3, shape)
        assert (topology.switches == ("s1",)) is (shape is not Shape.TREE)
        assert {node.switch for node in topology.nodes} == set(topology.switches)


def test_hosts_and_clients_sit_at_the_switches_of_a_tree_in_turn() -> None:
    tree = Topology(4, 2, Shape.TREE, stranger=True)
    where = {node.name: node.switch for node in tree.nodes}
    assert where == {
        "h1": "s1",
        "h2": "s2",
        "h3": "s3",
        "h4": "s1",
        "c1": "s1",
        "c2": "s2",
        "x1": "s1",
    }
    assert tree.trunks == (("s1", "s2"), ("s2", "s3"))
    assert tree.ports("s1") == ("h1", "h4", "c1", "x1", "s2")
    assert tree.ports("s2") == ("h2", "c2", "s1", "s3")
    assert Topology(1, 1).ports("s1") == ("h1", "c1")


def test_no_two_nodes_have_the_same_name_or_address() -> None:
    nodes = Topology(HOST_COUNT_MAX, CLIENT_COUNT_MAX, stranger=True).nodes
    for each in ("name", "address", "mac"):
        assert len({getattr(node, each) for node in nodes}) == len(nodes)
    assert len(nodes) == HOST_COUNT_MAX + CLIENT_COUNT_MAX + 1
    assert not Topology().strangers
    with pytest.raises(KeyError):
        Topology().node("x1")


def test_every_frame_has_the_vmac_as_its_source_and_is_long_enough() -> None:
    topology = Topology(2, 1)
    for kind in Leaked:
        data = frame_of(SendFrom("h1", kind, to="c1"), topology)
        assert data[6:12] == topology.vmac.octets
        assert len(data) >= SIZE_MIN


def test_each_kind_of_frame_is_what_another_reads() -> None:
    topology = Topology(2, 1)
    frames = {kind: frame_of(SendFrom("h1", kind, to="c1"), topology) for kind in Leaked}
    broadcast, unicast = Ether(frames[Leaked.BROADCAST]), Ether(frames[Leaked.UNICAST])
    assert (broadcast.dst, broadcast.type) == (str(BROADCAST), EXPERIMENTAL)
    assert unicast.dst == str(topology.node("c1").mac)
    rarp = Ether(frames[Leaked.RARP])
    assert (rarp.dst, rarp.type) == (str(BROADCAST), 0x8035)
    body = ARP(bytes(rarp.payload))
    assert (body.op, body.hwsrc, body.hwdst) == (3, str(topology.vmac), str(topology.vmac))
    announced = frames[Leaked.ANNOUNCEMENT]
    assert Dot3(announced)[SNAP].code == 1
    said = decode(announced)
    assert isinstance(said, Announcement)
    assert (said.machine, said.adapter) == ("h1", topology.vmac)


def test_a_history_has_one_entry_for_each_stay_at_a_port() -> None:
    history = TableHistory()
    history.learn(1.0, "s1", ONE, "h1")
    history.learn(1.5, "s1", ONE, "h1")
    history.learn(1.5, "s2", ONE, "s1")
    history.learn(2.0, "s1", ONE, "h2")
    history.learn(2.0, "s1", OTHER, "h2")
    history.forget(3.0, "s1", ONE)
    history.forget(3.5, "s1", ONE)
    history.learn(4.0, "s1", ONE, "h2")
    assert history.entries() == (
        BridgeEntry(1.0, ONE, "h1", "s1", 2.0),
        BridgeEntry(1.5, ONE, "s1", "s2", None),
        BridgeEntry(2.0, ONE, "h2", "s1", 3.0),
        BridgeEntry(2.0, OTHER, "h2", "s1", None),
        BridgeEntry(4.0, ONE, "h2", "s1", None),
    )


def test_an_entry_is_held_from_its_beginning_until_before_its_end() -> None:
    over, held = BridgeEntry(1.0, ONE, "h1", "s1", 2.0), BridgeEntry(1.0, ONE, "h1")
    assert [over.held_at(at) for at in (0.9, 1.0, 1.9, 2.0)] == [False, True, True, False]
    assert held.held_at(9.0)
