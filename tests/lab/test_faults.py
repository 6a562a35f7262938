# SPDX-License-Identifier: Apache-2.0
"""Faults are what they claim to be: one way or both, one kind of traffic or all, and they end."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP, UDP, IPOption_NOP

from wlbs.core.address import BROADCAST, Mac
from wlbs.core.probe import PROBE_PORT
from wlbs.lab.burden import Burden
from wlbs.lab.cuts import Cuts
from wlbs.lab.names import NODE_INTERFACE, LabNames
from wlbs.lab.recorder import Recorder
from wlbs.lab.world import LabWorld
from wlbs.linux import link, namespace
from wlbs.scenario.evidence import Direction
from wlbs.scenario.steps import Cut, Traffic
from wlbs.scenario.topology import Node, Topology

HEARTBEAT = 0x886F
LOCAL_EXPERIMENT = 0x88B5
VMAC = Topology().vmac

Lab = tuple[LabNames, Topology]


@pytest.fixture
def cuts(plain_lab: Lab) -> Iterator[Cuts]:
    names, topology = plain_lab
    made = Cuts(names, topology, topology.vmac)
    yield made
    made.close()


def frame(source: Mac, destination: Mac, ethertype: int, payload: bytes = b"") -> bytes:
    head = destination.octets + source.octets + ethertype.to_bytes(2, "big")
    return (head + payload).ljust(64, b"\0")


def probe(source: Mac, *, source_port: int, port: int) -> bytes:
    """Return a datagram as a liveness probe or its answer is carried."""
    packet = IP(src="10.9.0.1", dst="10.9.0.2") / UDP(sport=source_port, dport=port) / bytes(32)
    return frame(source, BROADCAST, 0x0800, bytes(packet))


def arrives(names: LabNames, sender: Node, receiver: Node, data: bytes) -> bool:
    """Send a frame and tell whether it comes."""
    with namespace.entered(names.namespace(receiver.name)):
        hearing = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        hearing.bind((NODE_INTERFACE, 3))
    with hearing, namespace.entered(names.namespace(sender.name)):
        hearing.settimeout(0.15)
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as speaking:
            speaking.bind((NODE_INTERFACE, 0))
            speaking.send(data)
        try:
            while hearing.recv(2048)[: len(data)] != data:
                pass
        except TimeoutError:
            return False
        return True


def test_a_cut_goes_one_way_and_ends(plain_lab: Lab, cuts: Cuts) -> None:
    names, topology = plain_lab
    h1, h2 = topology.hosts
    there = frame(h1.mac, BROADCAST, LOCAL_EXPERIMENT)
    back = frame(h2.mac, BROADCAST, LOCAL_EXPERIMENT)
    cuts.cut(Cut("h1", "h2"))
    assert not arrives(names, h1, h2, there)
    assert arrives(names, h1, topology.clients[0], there)
    assert arrives(names, h2, h1, back)
    cuts.heal()
    assert arrives(names, h1, h2, there)


def test_a_cut_may_concern_every_port(plain_lab: Lab, cuts: Cuts) -> None:
    names, topology = plain_lab
    h1, h2 = topology.hosts
    there = frame(h1.mac, BROADCAST, LOCAL_EXPERIMENT)
    for cut in (Cut("h1", None), Cut(None, "h2")):
        cuts.cut(cut)
        assert not arrives(names, h1, h2, there)
        cuts.heal()
    assert arrives(names, h1, h2, there)


@pytest.mark.parametrize(
    ("traffic", "kept"),
    [
        (Traffic.HEARTBEATS, {"probe", "vmac", "arp", "other"}),
        (Traffic.CLUSTER, {"beat", "probe", "other"}),
    ],
)
def test_a_cut_may_concern_one_kind_of_traffic(
    plain_lab: Lab, cuts: Cuts, traffic: Traffic, kept: set[str]
) -> None:
    names, topology = plain_lab
    h1, h2 = topology.hosts
    frames = {
        "beat": frame(h1.mac, BROADCAST, HEARTBEAT),
        "probe": probe(h1.mac, source_port=999, port=PROBE_PORT),
        "answer": probe(h1.mac, source_port=PROBE_PORT, port=999),
        "vmac": frame(h1.mac, VMAC, LOCAL_EXPERIMENT),
        "arp": frame(h1.mac, BROADCAST, 0x0806),
        "other": frame(h1.mac, BROADCAST, LOCAL_EXPERIMENT),
    }
    kept |= {"answer"} if "probe" in kept else set()
    cuts.cut(Cut("h1", "h2", traffic))
    assert {name for name, data in frames.items() if arrives(names, h1, h2, data)} == kept


def test_a_cut_of_answers_lets_syns_pass(plain_lab: Lab, cuts: Cuts) -> None:
    names, topology = plain_lab
    h1, h2 = topology.hosts

    def to(mac: Mac, flags: str, options: int = 0) -> bytes:
        ip = IP(src="10.9.0.201", dst="10.9.0.100", options=[IPOption_NOP()] * options)
        # Long enough to need no padding, which the switch's receive offload would take off.
        return frame(h1.mac, mac, 0x0800, bytes(ip / TCP(flags=flags) / bytes(32)))

    datagram = frame(h1.mac, VMAC, 0x0800, bytes(IP(dst="10.9.0.100") / UDP() / bytes(32)))
    cuts.cut(Cut("h1", "h2", Traffic.ANSWERS))
    passing = (to(VMAC, "S"), to(h2.mac, "A"), frame(h1.mac, BROADCAST, 0x0806), datagram)
    assert all(arrives(names, h1, h2, data) for data in passing)
    dropped = (to(VMAC, "A"), to(VMAC, "SA"), to(VMAC, "R"), to(VMAC, "A", options=4))
    assert not any(arrives(names, h1, h2, data) for data in dropped)


def test_cuts_add_up(plain_lab: Lab, cuts: Cuts) -> None:
    names, topology = plain_lab
    h1, h2 = topology.hosts
    cuts.cut(Cut("h1", "h2", Traffic.HEARTBEATS))
    cuts.cut(Cut("h1", "h2", Traffic.CLUSTER))
    assert not arrives(names, h1, h2, frame(h1.mac, BROADCAST, HEARTBEAT))
    assert not arrives(names, h1, h2, frame(h1.mac, VMAC, LOCAL_EXPERIMENT))


def test_carrier_is_lost_and_regained_and_captures_go_on(plain_lab: Lab) -> None:
    names, topology = plain_lab
    h1, h2 = topology.hosts
    recorder, world = Recorder(names, topology), LabWorld(names)
    recorder.start()
    try:
        for up in (False, True):
            world.set_carrier("h2", up=up)
            with namespace.entered(names.namespace("h2")):
                assert link.find(NODE_INTERFACE).has_carrier is up
        assert arrives(names, h1, h2, frame(h1.mac, BROADCAST, LOCAL_EXPERIMENT))
        recorder.stop()
    finally:
        recorder.end()
    seen = [each for each in recorder.frames() if each.port == "h2"]
    assert {each.direction for each in seen} == set(Direction)
    assert recorder.lost_count == 0


def test_a_burden_takes_every_processor_and_ends() -> None:
    burden = Burden()
    burden.occupy(busy=True)
    mine = [path for path in Path("/proc").glob("[0-9]*") if _parent(path) == os.getpid()]
    assert len(mine) >= len(os.sched_getaffinity(0))
    burden.occupy(busy=False)
    assert not [path for path in mine if path.exists()]


def _parent(process: Path) -> int | None:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError):
        return None
