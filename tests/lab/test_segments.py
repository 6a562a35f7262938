# SPDX-License-Identifier: Apache-2.0
"""Each shape of a segment forwards and learns as it says, and each sender sends where it says."""

import contextlib
import os
import shutil
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from wlbs.core.address import BROADCAST, Mac, cluster_macs
from wlbs.lab.bridge import set_ageing
from wlbs.lab.command import inside, run
from wlbs.lab.cuts import PROGRAM, Cuts
from wlbs.lab.leak import send
from wlbs.lab.names import BRIDGE, NODE_INTERFACE, LabNames
from wlbs.lab.network import build_network
from wlbs.lab.recorder import Recorder, switch_table
from wlbs.lab.senders import Senders
from wlbs.lab.sweep import sweep
from wlbs.lab.wait import wait_until
from wlbs.lab.world import LabWorld
from wlbs.linux import libbpf, link, namespace
from wlbs.scenario.evidence import BridgeEntry, Direction, SeenFrame
from wlbs.scenario.leaking import EXPERIMENTAL, RARP
from wlbs.scenario.steps import Cut, Leaked, SendFrom, Way
from wlbs.scenario.topology import Shape, Topology

TCX_EGRESS = 47
GROUP = "239.255.0.100"
PROOF_S = 0.15
"""How long a frame that must not come is waited for: a frame takes microseconds."""

Lab = tuple[LabNames, Topology]


@contextmanager
def lab_of(topology: Topology) -> Iterator[Lab]:
    """Build a lab without services or agents, and sweep it."""
    if os.geteuid() != 0 and not os.environ.get("STRICT"):
        pytest.skip("a lab needs root")
    names = LabNames(f"g{os.getpid()}")
    try:
        sweep(names.lab)
        names.state.mkdir(parents=True)
        build_network(names, topology)
        yield names, topology
    finally:
        sweep(names.lab)


def receivers(lab: Lab, sender: str, data: bytes, count: int = 1) -> dict[str, int]:
    """Send a frame so many times and count the copies that come to each other node."""
    names, topology = lab
    with ExitStack() as stack:
        hearing = {}
        for node in topology.nodes:
            with namespace.entered(names.namespace(node.name)):
                hearing[node.name] = stack.enter_context(listening())
        with namespace.entered(names.namespace(sender)), raw() as speaking:
            for _ in range(count):
                speaking.send(data)
        del hearing[sender]
        until = time.monotonic() + PROOF_S
        return {name: copies(ear, data, until) for name, ear in hearing.items()}


def raw() -> socket.socket:
    speaking = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    speaking.bind((NODE_INTERFACE, 0))
    return speaking


def listening() -> socket.socket:
    ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    ear.bind((NODE_INTERFACE, 3))
    ear.settimeout(PROOF_S)
    return ear


def copies(ear: socket.socket, data: bytes, until: float) -> int:
    """Return how many copies of a frame came by then; other frames do not count."""
    count = 0
    try:
        while True:
            ear.settimeout(max(0.001, until - time.monotonic()))
            count += ear.recv(2048)[: len(data)] == data
    except TimeoutError:
        return count


def reached(lab: Lab, sender: str, data: bytes) -> set[str]:
    return {name for name, count in receivers(lab, sender, data).items() if count}


def plain(source: Mac, destination: Mac) -> bytes:
    head = destination.octets + source.octets + EXPERIMENTAL.to_bytes(2, "big")
    return head.ljust(60, b"\0")


def introduce(lab: Lab) -> None:
    """Have every node send a frame, so that whoever learns knows all of them."""
    names, topology = lab
    for node in topology.nodes:
        with namespace.entered(names.namespace(node.name)):
            send(NODE_INTERFACE, node.mac, b"here I am")


def tables(lab: Lab) -> dict[str, dict[Mac, str]]:
    names, topology = lab
    return {switch: dict(switch_table(names, switch)) for switch in topology.switches}


def test_a_hub_learns_nothing_and_sends_everything_everywhere() -> None:
    with lab_of(Topology(2, 1, Shape.HUB)) as lab:
        introduce(lab)
        _, topology = lab
        h1, h2 = topology.hosts
        assert tables(lab) == {"s1": {}}
        assert reached(lab, "h1", plain(h1.mac, h2.mac)) == {"h2", "c1"}


def test_a_tree_learns_along_the_way_alone() -> None:
    with lab_of(Topology(3, 2, Shape.TREE, stranger=True)) as lab:
        names, topology = lab
        introduce(lab)
        h1, _, h3 = topology.hosts
        assert [node.switch for node in topology.nodes] == ["s1", "s2", "s3", "s1", "s2", "s1"]
        assert tables(lab)["s2"][h1.mac] == "s1"
        assert tables(lab)["s2"][h3.mac] == "s3"
        assert tables(lab)["s1"][h3.mac] == "s2"
        vmac = topology.vmac
        c1 = topology.node("c1")
        assert reached(lab, "c1", plain(c1.mac, vmac)) == {"h1", "h2", "h3", "c2", "x1"}
        senders = Senders(names, topology)
        senders.send_from(SendFrom("h1", Leaked.UNICAST, Way.BELOW, to="h2"))
        learned = {switch: table.get(vmac) for switch, table in tables(lab).items()}
        assert learned == {"s1": "h1", "s2": "s1", "s3": None}
        assert reached(lab, "c2", plain(topology.node("c2").mac, vmac)) == {"h1"}
        assert reached(lab, "h3", plain(h3.mac, vmac)) == {"h1"}
        senders.end()


def test_a_port_that_blocks_unknown_unicast_gets_what_is_known_and_what_is_for_all() -> None:
    with lab_of(Topology(2, 2, Shape.BLOCKING)) as lab:
        _, topology = lab
        introduce(lab)
        c1 = topology.node("c1")
        assert reached(lab, "c1", plain(c1.mac, topology.vmac)) == {"c2"}
        assert reached(lab, "c1", plain(c1.mac, topology.hosts[0].mac)) == {"h1"}
        assert reached(lab, "c1", plain(c1.mac, BROADCAST)) == {"h1", "h2", "c2"}


def test_a_linux_bridge_that_snoops_goes_by_the_packet_and_not_by_the_frame() -> None:
    """Pins the table of docs/design/segments.md."""
    with lab_of(Topology(2, 2, Shape.SNOOPING)) as lab, ExitStack() as stack:
        names, topology = lab
        vip, c1 = topology.vip, topology.node("c1")
        macs = cluster_macs(vip)

        def to(mac: Mac, address: object) -> bytes:
            ether = Ether(src=str(c1.mac), dst=str(mac))
            packet = IP(src=str(c1.address), dst=str(address)) / UDP(dport=9) / bytes(32)
            return bytes(ether / packet)

        with namespace.entered(names.namespace("h1")):
            member = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            group = socket.inet_aton(GROUP) + socket.inet_aton(str(topology.hosts[0].address))
            member.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
        # A new querier floods until it may have heard of every member.
        wait_until(
            lambda: reached(lab, "c1", to(macs.igmp, GROUP)) == {"h1", "h2"},
            "the bridge to snoop",
        )
        assert reached(lab, "c1", to(macs.igmp, vip)) == {"h1", "h2"}, "ports of routers"
        assert reached(lab, "c1", to(macs.multicast, vip)) == {"h1", "h2"}
        for host in ("h1", "h2"):
            words = f"bridge link set dev {host} mcast_router 1"
            run(inside(names.namespace("s1"), *words.split()))
        assert reached(lab, "c1", to(macs.igmp, GROUP)) == {"h1"}, "its one member"
        assert reached(lab, "c1", to(macs.igmp, vip)) == set(), "nobody at all"
        assert reached(lab, "c1", to(macs.multicast, vip)) == set()
        assert reached(lab, "c1", plain(c1.mac, macs.igmp)) == {"h1", "h2", "c2"}, "not IP: all"
        words = f"ip link set {BRIDGE} type bridge mcast_querier 0"
        run(inside(names.namespace("s1"), *words.split()))
        assert reached(lab, "c1", to(macs.igmp, vip)) == {"h1", "h2", "c2"}, "no querier: all"


def recorded(lab: Lab, act: Callable[[Senders], None]) -> tuple[list[SeenFrame], list[BridgeEntry]]:
    """Record while something is done; return frames from the VMAC, and the VMAC's entries."""
    names, topology = lab
    recorder, senders = Recorder(names, topology), Senders(names, topology)
    try:
        recorder.start()
        act(senders)
        senders.end()
        recorder.stop()
        vmac = topology.vmac
        frames = [each for each in recorder.frames() if each.data[6:12] == vmac.octets]
        return frames, [each for each in recorder.bridge_entries() if each.mac == vmac]
    finally:
        senders.end()
        recorder.end()
        shutil.rmtree(names.state / "record")
        run(inside(names.namespace("s1"), "bridge", "fdb", "flush", "dev", BRIDGE))


@pytest.mark.parametrize(
    ("way", "comes_out"), [(Way.ABOVE, False), (Way.BELOW, True), (Way.UNDER, True)]
)
def test_only_what_is_sent_from_above_passes_the_hook_of_the_guard(
    plain_lab: Lab, way: Way, *, comes_out: bool
) -> None:
    names, _ = plain_lab

    def act(senders: Senders) -> None:
        with dropping_all(names.namespace("h1")):
            senders.send_from(SendFrom("h1", Leaked.RARP, way))

    frames, entries = recorded(plain_lab, act)
    assert bool(at_port("h1", frames)) is comes_out
    assert places(entries) == ([("s1", "h1")] if comes_out else [])


@contextmanager
def dropping_all(host: str) -> Iterator[None]:
    """Have everything dropped where a host's guard would see it."""
    program = libbpf.BpfObject(PROGRAM)
    with namespace.entered(host):
        index = link.find(NODE_INTERFACE).index
        made = libbpf.create_link(dict(program.programs())["cut"], index, TCX_EGRESS)
        assert made >= 0, "this kernel has TCX"
        libbpf.update(dict(program.maps())["cuts"], struct.pack("<II", 0, index), b"\1\0\0\0")
    try:
        yield
    finally:
        os.close(made)
        program.close()


def at_port(port: str, frames: list[SeenFrame]) -> list[SeenFrame]:
    """Return the frames that came in at a port."""
    return [each for each in frames if (each.port, each.direction) == (port, Direction.FROM_NODE)]


def places(entries: list[BridgeEntry]) -> list[tuple[str, str]]:
    return [(each.switch, each.port) for each in entries]


def test_nothing_on_a_host_sees_what_is_sent_under_it(plain_lab: Lab) -> None:
    names, topology = plain_lab
    with namespace.entered(names.namespace("h1")), listening() as ear:
        senders = Senders(names, topology)
        senders.send_from(SendFrom("h1", Leaked.RARP, Way.UNDER, 3, 0.001))
        senders.end()
        heard = []
        with contextlib.suppress(TimeoutError):
            while True:
                heard.append(ear.recv(2048))
    assert [each for each in heard if each[12:14] == RARP.to_bytes(2, "big")] == []


@pytest.mark.parametrize("kind", list(Leaked))
def test_each_kind_of_frame_comes_as_often_as_it_was_told_to(plain_lab: Lab, kind: Leaked) -> None:
    def act(senders: Senders) -> None:
        introduce(plain_lab)
        senders.send_from(SendFrom("h2", kind, Way.BELOW, 4, 0.001, to="c1"))
        wait_until(lambda: senders.are_idle("h2"), "four frames to be sent")

    frames, entries = recorded(plain_lab, act)
    seen = at_port("h2", frames)
    assert len(seen) == 4
    assert len({each.data for each in seen}) == 1
    others = {each.port for each in frames} - {"h2"}
    assert others == ({"c1"} if kind is Leaked.UNICAST else {"h1", "c1", "c2"})
    assert places(entries) == [("s1", "h2")]


def test_whoever_is_told_to_stop_sends_no_more(plain_lab: Lab) -> None:
    def act(senders: Senders) -> None:
        senders.send_from(SendFrom("h2", way=Way.BELOW, count=100_000, interval_s=0.001))
        senders.stop("h2")

    frames, _ = recorded(plain_lab, act)
    assert 1 <= len(at_port("h2", frames)) < 1000


def test_the_history_of_a_table_has_every_beginning_and_end(plain_lab: Lab) -> None:
    names, topology = plain_lab
    world = LabWorld(names)
    vmac, switch = topology.vmac, names.namespace("s1")

    def forgotten() -> bool:
        return vmac not in dict(switch_table(names, "s1"))

    def act(senders: Senders) -> None:
        senders.send_from(SendFrom("h1", way=Way.BELOW))
        senders.send_from(SendFrom("h2", way=Way.UNDER))
        senders.send_from(SendFrom("h2", way=Way.UNDER))
        world.set_carrier("h2", up=False)
        world.set_carrier("h2", up=True)
        senders.send_from(SendFrom("h1", way=Way.BELOW))
        set_ageing(names, topology, 0.3)
        wait_until(forgotten, "the entry to age")
        set_ageing(names, topology, None)
        senders.send_from(SendFrom("h1", way=Way.BELOW))
        words = f"bridge fdb del {vmac} dev h1 master"
        run(inside(switch, *words.split()))
        senders.send_from(SendFrom("c1"))

    _, entries = recorded(plain_lab, act)
    assert places(entries) == [("s1", port) for port in ("h1", "h2", "h1", "h1", "c1")]
    moved, lost, aged, flushed, held = entries
    assert moved.gone_s == lost.at_s
    assert lost.gone_s is not None
    assert lost.gone_s < aged.at_s
    assert aged.gone_s is not None
    assert aged.gone_s - aged.at_s == pytest.approx(0.3, abs=0.2)
    assert flushed.gone_s is not None
    assert held.gone_s is None
    assert held.held_at(held.at_s)
    assert not lost.held_at(lost.gone_s)


def test_a_storm_control_drops_what_is_flooded_above_its_limit(plain_lab: Lab) -> None:
    names, topology = plain_lab
    h1, h2 = topology.hosts
    introduce(plain_lab)
    cuts = Cuts(names, topology, topology.vmac)
    try:
        cuts.limit_flooding(10)
        for destination in (BROADCAST, topology.vmac):
            got = receivers(plain_lab, "c1", plain(topology.clients[0].mac, destination), 100)
            # A hundred frames take less than a second, so they fall into two at most.
            assert all(count <= 20 for count in got.values())
        assert receivers(plain_lab, "h1", plain(h1.mac, h2.mac), 100)["h2"] == 100
        cuts.limit_flooding(None)
        got = receivers(plain_lab, "c1", plain(topology.clients[0].mac, BROADCAST), 100)
        assert set(got.values()) == {100}
    finally:
        cuts.close()


def test_a_cut_in_a_tree_is_at_the_switch_of_whom_it_concerns() -> None:
    with lab_of(Topology(2, 2, Shape.TREE)) as lab:
        names, topology = lab
        frame = plain(topology.node("c1").mac, BROADCAST)
        cuts = Cuts(names, topology, topology.vmac)
        try:
            cuts.cut(Cut(None, "h2"))
            assert reached(lab, "c1", frame) == {"h1", "c2"}
            cuts.heal()
            cuts.cut(Cut("c1", "h1"))
            assert reached(lab, "c1", frame) == {"h2", "c2"}
            with pytest.raises(AssertionError, match="not at the same switch"):
                cuts.cut(Cut("c1", "h2"))
        finally:
            cuts.close()
