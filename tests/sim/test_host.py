# SPDX-License-Identifier: Apache-2.0
"""A host's parts live as long as real ones: the data path outlives its agent."""

from dataclasses import replace

import pytest

from wlbs.core.address import BROADCAST, IpAddress
from wlbs.core.buckets import BUCKET_COUNT, HashKey
from wlbs.core.cluster import Mode
from wlbs.core.frame import EtherType
from wlbs.core.probe import PROBE_PORT, decode_answer, encode_request
from wlbs.core.protocol.effects import Effect
from wlbs.core.protocol.events import Event, Instant, StopRequested
from wlbs.core.reason import Reason
from wlbs.core.table import Buckets, Mark
from wlbs.scenario.evidence import LogEntry
from wlbs.scenario.setup import ORDINARY, Setup
from wlbs.scenario.topology import Topology
from wlbs.sim.agent import BUSY, CALM
from wlbs.sim.frames import (
    ACK,
    SYN,
    Path,
    TcpSegment,
    arp_request,
    ethernet,
    tcp,
    udp,
)
from wlbs.sim.host import Host, Surroundings
from wlbs.sim.igmp import Kind, read
from wlbs.sim.parts import SOUND
from wlbs.sim.schedule import NS_PER_MS, NS_PER_S, Schedule

TOPOLOGY = Topology(1, 1)
NODE = TOPOLOGY.hosts[0]
CLIENT = TOPOLOGY.clients[0]
KEY = HashKey(bytes(range(16)))
VIP_PATH = Path(CLIENT.address, 5000, TOPOLOGY.vip, 80)


class Lonely:
    """One host, and a record of what it sends and does."""

    def __init__(self, setup: Setup = ORDINARY) -> None:
        """Begin nothing yet."""
        self.schedule = Schedule()
        self.sent: list[bytes] = []
        self.taken: list[Event] = []
        self.done: list[Event] = []
        log = list[LogEntry]()
        self.kept: list[str] = []
        around = Surroundings(
            self.schedule,
            self.sent.append,
            log.append,
            self._take,
            self._finish,
            lambda host, _: self.kept.append(host),
        )
        self.host = Host(NODE, setup.cluster(TOPOLOGY, KEY), 1, around, SOUND)
        self.host.forwards = setup.forwarding

    def run(self, duration_ns: int) -> None:
        """Let time pass."""
        self.schedule.run_until(self.schedule.now + duration_ns)

    def answers(self, data: bytes) -> list[bytes]:
        """Hand the host a frame and return what it sends at once."""
        before = len(self.sent)
        self.host.receive(data)
        return self.sent[before:]

    def serving(self) -> Host:
        """Begin the agent and return the host once it serves."""
        self.host.begin()
        self.run(NS_PER_S)
        assert self.host.kernel
        assert self.host.kernel.lease_live
        return self.host

    def _take(self, host: Host, event: Event, effects: tuple[Effect, ...]) -> None:
        assert host is self.host
        assert isinstance(effects, tuple)
        self.taken.append(event)

    def _finish(self, host: Host, event: Event, at: Instant) -> None:
        assert host is self.host
        assert at <= self.schedule.now
        self.done.append(event)


@pytest.fixture
def lonely() -> Lonely:
    """Return a host that has begun nothing."""
    return Lonely()


def to_vmac(packet: bytes) -> bytes:
    return ethernet(TOPOLOGY.vmac, CLIENT.mac, EtherType.IPV4, packet)


SYN_FRAME = to_vmac(tcp(TcpSegment(VIP_PATH, 7, 0, SYN)))
VIP_REQUEST = ethernet(
    BROADCAST, CLIENT.mac, EtherType.ARP, arp_request(CLIENT.mac, CLIENT.address, TOPOLOGY.vip)
)
OWN_REQUEST = ethernet(
    BROADCAST, CLIENT.mac, EtherType.ARP, arp_request(CLIENT.mac, CLIENT.address, NODE.address)
)


def test_without_a_data_path_the_host_has_its_own_address_only(lonely: Lonely) -> None:
    assert lonely.answers(VIP_REQUEST) == []
    assert len(lonely.answers(OWN_REQUEST)) == 1
    to_station = ethernet(
        NODE.mac, CLIENT.mac, EtherType.IPV4, tcp(TcpSegment(VIP_PATH, 7, 0, SYN))
    )
    assert lonely.answers(SYN_FRAME) == []
    assert lonely.answers(to_station) == []
    assert lonely.answers(b"") == []


def test_a_host_that_serves_answers_for_the_virtual_ip_and_hides_the_vmac(lonely: Lonely) -> None:
    host = lonely.serving()
    (answer,) = lonely.answers(VIP_REQUEST)
    assert answer[6:12] == NODE.mac.octets
    assert answer[22:28] == TOPOLOGY.vmac.octets
    assert len(lonely.answers(OWN_REQUEST)) == 1
    assert len(lonely.answers(SYN_FRAME)) == 1
    before = len(lonely.sent)
    host.send(ethernet(BROADCAST, TOPOLOGY.vmac, 0x88B5, b"a leak"))
    assert lonely.sent[before][6:12] == NODE.mac.octets
    assert host.kernel
    assert host.kernel.counters[Reason.GUARD_MASKED] == 1


def test_a_stalled_agent_loses_its_lease_and_the_data_path_goes_on(lonely: Lonely) -> None:
    host = lonely.serving()
    lonely.answers(OWN_REQUEST)
    assert len(lonely.answers(SYN_FRAME)) == 1
    host.stall()
    taken_count = len(lonely.taken)
    lonely.run(NS_PER_S)
    assert host.kernel
    assert not host.kernel.lease_live
    assert len(lonely.taken) == taken_count
    other = to_vmac(tcp(TcpSegment(Path(CLIENT.address, 5001, TOPOLOGY.vip, 80), 7, 0, SYN)))
    assert lonely.answers(other) == []
    assert host.kernel.counters[Reason.LEASE_EXPIRED] == 1
    assert len(lonely.answers(OWN_REQUEST)) == 1
    host.resume()
    lonely.run(NS_PER_S)
    assert host.kernel.lease_live


def test_a_probe_is_answered_while_the_agent_stands_still(lonely: Lonely) -> None:
    host = lonely.serving()
    host.stall()
    path = Path(CLIENT.address, 6000, NODE.address, PROBE_PORT)
    probe = ethernet(NODE.mac, CLIENT.mac, EtherType.IPV4, udp(path, encode_request(99)))
    for lease_live in (True, False):
        (answer,) = lonely.answers(probe)
        said = decode_answer(answer[42:74], KEY)
        assert said
        assert host.kernel
        assert (said.challenge, said.lease_live) == (99, lease_live)
        assert said.boot_nonce == host.kernel.boot_nonce
        lonely.run(NS_PER_S)


def test_what_is_pinned_outlives_a_kill_and_not_an_undoing(lonely: Lonely) -> None:
    host = lonely.serving()
    kernel = host.kernel
    host.kill()
    lonely.run(NS_PER_MS)
    assert host.has_stopped
    assert host.kernel is kernel
    host.begin()
    assert host.kernel is kernel
    assert len(host.nonces) == 1
    lonely.run(NS_PER_S)
    host.undo()
    assert host.kernel is None
    host.begin()
    assert len(set(host.nonces)) == 2
    assert host.nonces == sorted(host.nonces)


def test_a_killed_agent_takes_nothing_more(lonely: Lonely) -> None:
    host = lonely.serving()
    agent = host.agent
    assert agent
    host.kill()
    taken_count = len(lonely.taken)
    agent.take(StopRequested())
    lonely.run(NS_PER_S)
    assert len(lonely.taken) == taken_count


def test_every_event_is_done_once_its_effects_are(lonely: Lonely) -> None:
    lonely.serving()
    assert lonely.done == lonely.taken[: len(lonely.done)]
    assert len(lonely.taken) - len(lonely.done) <= 1
    assert len(lonely.done) > 5


def test_a_busy_host_is_slower_and_an_agent_begun_then_too(lonely: Lonely) -> None:
    host = lonely.host
    host.occupy(busy=True)
    host.begin()
    assert host.agent
    assert host.agent.pace is BUSY
    host.occupy(busy=False)
    assert host.agent.pace is CALM


def test_carrier_is_noticed_by_an_agent(lonely: Lonely) -> None:
    host = lonely.serving()
    host.set_carrier(up=False)
    lonely.run(10 * NS_PER_MS)
    assert host.kernel
    assert not host.kernel.lease_live
    host.set_carrier(up=True)
    lonely.run(NS_PER_S)
    assert host.kernel.lease_live


def test_only_what_the_filter_keeps_is_told_as_kept(lonely: Lonely) -> None:
    lonely.serving()
    lonely.answers(VIP_REQUEST)
    lonely.answers(OWN_REQUEST)
    assert lonely.kept == []
    lonely.answers(SYN_FRAME)
    assert lonely.kept == [NODE.name]


def test_a_host_that_sends_cookies_claims_what_brings_one_back(lonely: Lonely) -> None:
    host = lonely.serving()
    host.send_cookies(wanted=True)
    lonely.answers(SYN_FRAME)
    cookie = host._stack.cookie(VIP_PATH.reversed)
    assert cookie is not None
    assert host.kernel
    host.kernel.end_lease()
    back = to_vmac(tcp(TcpSegment(VIP_PATH, 8, (cookie + 8) % (1 << 32), ACK)))
    assert lonely.answers(back) == []
    assert host.kernel.counters[Reason.LEASE_EXPIRED] == 1
    lonely.run(NS_PER_S)
    assert host.kernel.lease_live
    assert host.kernel.table
    marks = bytes((Mark.FLAGGED,)) * BUCKET_COUNT
    flagged = tuple(Buckets(each.owners, marks) for each in host.kernel.table.buckets)
    host.kernel.install(replace(host.kernel.table, buckets=flagged))
    lonely.answers(back)
    assert host.kernel.counters[Reason.COOKIE] == 1


NEIGHBOUR_FRAME = to_vmac(
    tcp(TcpSegment(Path(CLIENT.address, 5001, IpAddress.parse("10.9.0.7"), 80), 7, 0, SYN))
)
"""To the VMAC, and to the own address of a host that is not this one: flooded to all."""


def test_in_mode_unicast_a_host_that_forwards_sends_on_nothing_that_was_flooded() -> None:
    """With the cluster's MAC on every interface, each host would send it once more."""
    world = Lonely(Setup(Mode.UNICAST, forwarding=True))
    assert world.serving().kernel
    assert world.answers(NEIGHBOUR_FRAME) == []
    world.host.kernel = None
    (question,) = world.answers(NEIGHBOUR_FRAME)  # the next hop is asked for, to send it on
    assert question[12:14] == b"\x08\x06"


def test_in_mode_unicast_a_host_is_masked_until_it_leaves() -> None:
    world = Lonely(Setup(Mode.UNICAST))
    masked = world.serving().shown_mac
    (announced, *_) = world.sent
    assert (announced[6:12], announced[22:28]) == (masked.octets,) * 2  # arp_notify
    (answer,) = world.answers(OWN_REQUEST)
    assert (answer[6:12], answer[22:28]) == (masked.octets,) * 2
    to_masked = masked.octets + OWN_REQUEST[6:]
    assert len(world.answers(to_masked)) == 1
    world.host.undo()
    assert world.sent[-1][6:12] == NODE.mac.octets
    (answer,) = world.answers(OWN_REQUEST)
    assert (answer[6:12], answer[22:28]) == (NODE.mac.octets,) * 2


def test_in_mode_igmp_a_host_is_a_member_while_its_data_path_is_there() -> None:
    world = Lonely(Setup(Mode.IGMP))
    host = world.serving()
    joined = [message for data in world.sent if (message := read(data))]
    assert [(each.kind, str(each.group)) for each in joined] == [(Kind.REPORT, "239.255.0.100")]
    host.undo()
    left = read(world.sent[-1])
    assert left
    assert left.kind is Kind.LEAVE
