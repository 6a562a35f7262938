# SPDX-License-Identifier: Apache-2.0
"""The switch learns, floods, forgets and cuts as the lab's bridge does."""

import pytest

from wlbs.core.address import BROADCAST, IpAddress, Mac
from wlbs.core.frame import EtherType
from wlbs.scenario.evidence import Direction
from wlbs.scenario.steps import Cut, Traffic
from wlbs.sim.frames import (
    ACK,
    RST,
    SYN,
    Path,
    TcpSegment,
    arp_request,
    ethernet,
    tcp,
    udp,
)
from wlbs.sim.schedule import Schedule
from wlbs.sim.switch import AGEING_NS, Port, Switch

VMAC = Mac.parse("02:bf:0a:09:00:64")
MACS = {port: Mac(b"\x06\0\0\0\0" + bytes((at,))) for at, port in enumerate("abc", 1)}
IPS = {port: IpAddress.parse(f"10.9.0.{at}") for at, port in enumerate("abc", 1)}


class Segment:
    """A switch with three ports, and what comes out of each."""

    def __init__(self) -> None:
        """Connect the ports."""
        self.schedule = Schedule()
        self.switch = Switch(self.schedule, VMAC)
        self.out: list[str] = []
        for port in MACS:
            self.switch.connect(port, Port(lambda _, port=port: self.out.append(port)))  # type: ignore[misc]

    def send(self, port: str, data: bytes) -> list[str]:
        """Let a frame come in, and return the ports it goes out of."""
        self.out.clear()
        self.switch.receive(port, data)
        return sorted(self.out)


def frame(source: str, destination: Mac, ethertype: int = 0x88B5) -> bytes:
    return ethernet(destination, MACS[source], ethertype, b"payload")


@pytest.fixture
def segment() -> Segment:
    """Return a switch that has learned nothing."""
    return Segment()


def test_what_is_not_known_is_flooded_and_what_is_known_is_not(segment: Segment) -> None:
    assert segment.send("a", frame("a", MACS["b"])) == ["b", "c"]
    assert segment.send("b", frame("b", MACS["a"])) == ["a"]
    assert segment.send("a", frame("a", MACS["b"])) == ["b"]
    assert segment.send("a", frame("a", MACS["a"])) == []
    assert segment.send("a", frame("a", VMAC)) == ["b", "c"]
    assert segment.send("a", frame("a", BROADCAST)) == ["b", "c"]
    assert segment.send("a", b"runt") == []


def test_an_address_that_moves_is_found_where_it_was_last_seen(segment: Segment) -> None:
    learned: list[tuple[Mac, str]] = []
    segment.switch.watch.on_learned = lambda _, mac, port: learned.append((mac, port))
    segment.send("a", ethernet(BROADCAST, VMAC, 0x88B5, b""))
    assert segment.send("c", frame("c", VMAC)) == ["a"]
    segment.send("b", ethernet(BROADCAST, VMAC, 0x88B5, b""))
    segment.send("b", ethernet(BROADCAST, VMAC, 0x88B5, b""))
    assert segment.send("c", frame("c", VMAC)) == ["b"]
    assert learned == [(VMAC, "a"), (MACS["c"], "c"), (VMAC, "b")]
    segment.send("a", ethernet(BROADCAST, BROADCAST, 0x88B5, b""))
    assert len(segment.switch.entries()) == 2


def test_an_entry_ages_and_goes_with_its_carrier(segment: Segment) -> None:
    segment.send("a", frame("a", BROADCAST))
    segment.send("b", frame("b", BROADCAST))
    segment.switch.disconnect("b")
    assert segment.switch.entries() == ((MACS["a"], "a"),)
    segment.schedule.run_until(AGEING_NS - 1)
    assert segment.send("c", frame("c", MACS["a"])) == ["a"]
    segment.schedule.run_until(AGEING_NS)
    assert segment.send("c", frame("c", MACS["a"])) == ["a", "b"]


def test_a_watcher_sees_each_frame_come_and_go(segment: Segment) -> None:
    seen: list[tuple[str, Direction]] = []
    segment.switch.watch.on_frame = lambda port, way, _: seen.append((port, way))
    segment.send("a", frame("a", BROADCAST))
    assert seen == [
        ("a", Direction.FROM_NODE),
        ("b", Direction.TO_NODE),
        ("c", Direction.TO_NODE),
    ]


def test_a_cut_concerns_its_ports_and_its_traffic_alone(segment: Segment) -> None:
    heartbeat = frame("a", BROADCAST, EtherType.HEARTBEAT)
    probe = ethernet(
        MACS["b"], MACS["a"], EtherType.IPV4, udp(Path(IPS["a"], 5, IPS["b"], 34927), b"")
    )
    answer = ethernet(
        MACS["b"], MACS["a"], EtherType.IPV4, udp(Path(IPS["a"], 34927, IPS["b"], 5), b"")
    )
    plain = ethernet(MACS["b"], MACS["a"], EtherType.IPV4, udp(Path(IPS["a"], 5, IPS["b"], 6), b""))
    arp = ethernet(BROADCAST, MACS["a"], EtherType.ARP, arp_request(MACS["a"], IPS["a"], IPS["b"]))
    clustered = frame("a", VMAC)
    segment.send("b", frame("b", BROADCAST))
    for traffic, cut_off in (
        (Traffic.HEARTBEATS, (heartbeat,)),
        (Traffic.CLUSTER, (arp, clustered)),
        (Traffic.ALL, (heartbeat, probe, answer, plain, arp, clustered)),
    ):
        segment.switch.cuts = [Cut("a", "b", traffic)]
        for data in (heartbeat, probe, answer, plain, arp, clustered):
            assert ("b" in segment.send("a", data)) == (data not in cut_off)
        assert segment.send("c", frame("c", BROADCAST)) == ["a", "b"]


def test_a_cut_of_answers_lets_syns_pass(segment: Segment) -> None:
    def to(mac: Mac, flags: int) -> bytes:
        packet = tcp(TcpSegment(Path(IPS["a"], 5, IPS["b"], 80), 1, 1, flags))
        return ethernet(mac, MACS["a"], EtherType.IPV4, packet)

    arp = ethernet(BROADCAST, MACS["a"], EtherType.ARP, arp_request(MACS["a"], IPS["a"], IPS["b"]))
    datagram = ethernet(VMAC, MACS["a"], EtherType.IPV4, udp(Path(IPS["a"], 5, IPS["b"], 6), b""))
    segment.switch.cuts = [Cut("a", "b", Traffic.ANSWERS)]
    for data in (to(VMAC, SYN), to(MACS["b"], ACK), arp, datagram, frame("a", VMAC)):
        assert "b" in segment.send("a", data)
    for data in (to(VMAC, ACK), to(VMAC, RST), to(VMAC, SYN | ACK)):
        assert segment.send("a", data) == ["c"]


def test_a_cut_may_concern_every_port(segment: Segment) -> None:
    segment.switch.cuts = [Cut("a", None)]
    assert segment.send("a", frame("a", BROADCAST)) == []
    segment.switch.cuts = [Cut(None, "a")]
    assert segment.send("b", frame("b", BROADCAST)) == ["c"]
    assert segment.switch.port_of(MACS["a"]) == "a", "a cut does not keep the switch from learning"
