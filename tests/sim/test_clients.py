# SPDX-License-Identifier: Apache-2.0
"""Clients open what they are told to open, and say truly what became of it."""

from collections.abc import Callable

import pytest

from wlbs.core.address import IpAddress, Mac
from wlbs.core.frame import Arp, EtherType, Frame, Packet, parse
from wlbs.scenario.draw import PlannedFlow
from wlbs.scenario.evidence import LogEntry
from wlbs.scenario.topology import Node, Topology, address_behind
from wlbs.sim.client import PATIENCE_NS, Client
from wlbs.sim.frames import RST, SYN, Path, TcpSegment, ethernet, read_tcp, tcp
from wlbs.sim.prng import Prng
from wlbs.sim.schedule import NS_PER_MS, NS_PER_S, Schedule
from wlbs.sim.service import Web, WebConnection
from wlbs.sim.stack import TcpStack
from wlbs.sim.station import Station, next_hop
from wlbs.sim.workload import Workload

TOPOLOGY = Topology(1, 2)
SERVER = TOPOLOGY.hosts[0]


class Segment:
    """Two clients and a server with one address, at a hub."""

    def __init__(self) -> None:
        """Connect everybody."""
        self.schedule = Schedule()
        self.log = list[LogEntry]()
        self.asked: list[Arp] = []
        self.is_dead = False
        self.receivers: list[tuple[Mac, Callable[[bytes], None]]] = []
        self.clients = {node.name: self._client(node) for node in TOPOLOGY.clients}
        self.station = Station(self.schedule, SERVER, lambda data: self._carry(SERVER, data))
        self.stack = TcpStack(
            self.schedule,
            Prng(1, "server"),
            lambda segment: self.station.send_packet(segment.path.peer, tcp(segment)),
        )
        web = Web("h1", self.schedule, Prng(1, "service"), self.log.append)
        self.stack.listen(80, lambda path: WebConnection(web, path))
        self.receivers.append((SERVER.mac, self._serve))
        self.work = Workload(self.schedule, self.clients, SERVER.address)

    def run(self, duration_ns: int) -> None:
        """Let time pass."""
        self.schedule.run_until(self.schedule.now + duration_ns)

    def run_while(self, is_under_way: Callable[[], bool]) -> int:
        """Wait, and return how long that took."""
        began = self.schedule.now
        assert not self.schedule.run_while(is_under_way, began + 100 * NS_PER_S)
        return self.schedule.now - began

    def reset_all(self) -> None:
        """Reset every connection, as a server does that has lost its mind."""
        for socket in self.stack.sockets():
            reset = TcpSegment(socket.path, socket.snd_nxt, 0, RST)
            self.station.send_packet(socket.path.peer, tcp(reset))

    def _client(self, node: Node) -> Client:
        station = Station(self.schedule, node, lambda data: self._carry(node, data))
        client = Client(self.schedule, Prng(1, node.name), station)
        self.receivers.append((node.mac, client.receive))
        return client

    def _carry(self, sender: Node, data: bytes) -> None:
        for mac, receive in self.receivers:
            if mac != sender.mac:
                self.schedule.after(10_000, lambda receive=receive: receive(data))  # type: ignore[misc]

    def _serve(self, data: bytes) -> None:
        frame = parse(data)
        assert isinstance(frame, Frame)
        if isinstance(frame.payload, Arp):
            self.asked.append(frame.payload)
            if not self.is_dead:
                self.station.receive_arp(frame.payload)
        elif isinstance(frame.payload, Packet) and not self.is_dead:
            segment = read_tcp(data, frame.payload)
            assert segment
            self.stack.receive(segment)


@pytest.fixture
def segment() -> Segment:
    """Return a segment on which nothing has happened."""
    return Segment()


def flows(count: int, batch: str = "batch", server_port: int = 80) -> tuple[PlannedFlow, ...]:
    clients = TOPOLOGY.clients
    return tuple(
        PlannedFlow(batch, client.name, client.address, 2000 + at, server_port)
        for at in range(count)
        for client in (clients[at % 2],)
    )


def test_a_batch_is_answered_and_logged(segment: Segment) -> None:
    segment.run_while(segment.work.send(flows(40)))
    attempts = segment.work.attempts(0)
    assert {each.answered_by for each in attempts} == {"h1"}
    assert {each.error for each in attempts} == {""}
    assert [each.source_port for each in sorted(attempts, key=lambda each: each.source_port)] == [
        2000 + at for at in range(40)
    ]
    assert sorted((each.source, each.source_port) for each in segment.log) == sorted(
        (each.source, each.source_port) for each in attempts
    )
    asked = [each for each in segment.asked if each.target_ip == SERVER.address]
    assert len(asked) == 2, "each client asks once for the address"


def test_a_client_answers_for_the_network_behind_it(segment: Segment) -> None:
    client = TOPOLOGY.clients[0]
    source = address_behind(client, 7)
    segment.run_while(segment.work.send((PlannedFlow("b", client.name, source, 5, 80),)))
    assert segment.work.attempts(0)[0].answered_by == "h1"
    assert next_hop(source) == client.address
    assert next_hop(IpAddress.parse("10.9.0.9")) == IpAddress.parse("10.9.0.9")


def test_a_client_leaves_alone_what_a_group_frame_brings_for_others(segment: Segment) -> None:
    client = segment.clients["c1"]
    stray = TcpSegment(Path(SERVER.address, 1, TOPOLOGY.vip, 80), 1, 0, SYN)
    group = Mac.parse("03:bf:0a:09:00:64")
    heard: list[bytes] = []
    segment.receivers = [(SERVER.mac, heard.append)]
    client.receive(ethernet(group, SERVER.mac, EtherType.IPV4, tcp(stray)))
    segment.run(NS_PER_S)
    assert heard == []
    own = TcpSegment(Path(SERVER.address, 1, client.node.address, 80), 1, 0, SYN)
    client.receive(ethernet(client.node.mac, SERVER.mac, EtherType.IPV4, tcp(own)))
    segment.run(NS_PER_S)
    assert heard, "nobody listens there, and that is said"


def test_who_is_not_answered_gives_up(segment: Segment) -> None:
    segment.is_dead = True
    took = segment.run_while(segment.work.send(flows(100)))
    attempts = segment.work.attempts(0)
    assert {each.answered_by for each in attempts} == {None}
    assert [each.error for each in attempts].count("no answer") == 2 * 45
    assert [each.error for each in attempts].count("failed: not tried after so many failures") == 10
    assert took == 8 * PATIENCE_NS


def test_a_refusal_is_told(segment: Segment) -> None:
    segment.run_while(segment.work.send(flows(2, server_port=443)))
    assert [each.error for each in segment.work.attempts(0)] == ["refused", "refused"]


def test_attempts_keep_their_clock_until_they_are_ended(segment: Segment) -> None:
    segment.work.begin_attempts(flows(100), 0.01)
    segment.run(99 * NS_PER_MS)
    segment.run_while(segment.work.end_attempts("batch"))
    segment.run(NS_PER_S)
    attempts = segment.work.attempts(0)
    assert [round(each.at_s * 1000) for each in attempts] == list(range(0, 100, 10))
    assert {each.answered_by for each in attempts} == {"h1"}


def test_long_connections_transfer_until_they_are_closed(segment: Segment) -> None:
    segment.run_while(segment.work.open(flows(3, "a") + flows(6, "b")[3:]))
    segment.run(NS_PER_S)
    segment.work.close("a", "h2")
    segment.work.close("a", "h1")
    segment.run(NS_PER_S)
    by_batch = {
        batch: [each for each in segment.work.connections(0) if each.batch == batch]
        for batch in ("a", "b")
    }
    assert {each.transfer_count for each in by_batch["a"]} <= {4, 5}
    assert {each.error for each in segment.work.connections(0)} == {""}
    assert all(each.closed_s for each in by_batch["a"])
    assert all(each.closed_s is None and each.last_transfer_s > 1.5 for each in by_batch["b"])


def test_a_long_connection_that_is_reset_or_hangs_is_broken(segment: Segment) -> None:
    segment.run_while(segment.work.open(flows(2, "reset")))
    segment.reset_all()
    segment.run(NS_PER_MS)
    assert [each.error for each in segment.work.connections(0)] == ["reset", "reset"]
    segment.run_while(segment.work.open(flows(4, "hung")[2:]))
    segment.is_dead = True
    segment.run(3 * NS_PER_S)
    assert [each.error for each in segment.work.connections(0)[2:]] == ["no answer", "no answer"]
    segment.work.close("hung", None)
    assert all(each.closed_s is None for each in segment.work.connections(0))


def test_a_service_that_closes_breaks_a_long_connection(segment: Segment) -> None:
    segment.run_while(segment.work.open(flows(1)))
    for socket in segment.stack.sockets():
        socket.close()
    segment.run(NS_PER_MS)
    assert segment.work.connections(0)[0].error == "closed"


def test_long_connections_vanish_when_they_are_idle(segment: Segment) -> None:
    segment.run_while(segment.work.open(flows(4)))
    segment.run(NS_PER_S)
    segment.run_while(segment.work.vanish("batch"))
    segment.run(3 * NS_PER_S)
    gone = segment.work.connections(0)
    assert all(each.closed_s and not each.error for each in gone)
    still_believed = [socket for socket in segment.stack.sockets() if socket.state == "ESTABLISHED"]
    assert len(still_believed) == 4
    segment.run_while(segment.work.vanish("batch"))


def test_a_connection_that_is_broken_has_nothing_left_to_vanish(segment: Segment) -> None:
    segment.run_while(segment.work.open(flows(2)))
    segment.reset_all()
    segment.run(NS_PER_MS)
    segment.run_while(segment.work.vanish("batch"))
    assert [each.closed_s for each in segment.work.connections(0)] == [None, None]
