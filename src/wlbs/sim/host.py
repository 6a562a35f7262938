# SPDX-License-Identifier: Apache-2.0
"""A simulated host: a station, a TCP stack with a service, the kernel's data path and an agent.

The kernel's part outlives the agent and is gone only when everything has been undone. Knows how
frames pass between these parts, and carries effects out. Decides nothing: the filter and the
member do.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, assert_never

from wlbs.core.address import BROADCAST, MAC_SIZE, IpAddress, Mac
from wlbs.core.cluster import Cluster
from wlbs.core.frame import ETHERNET_SIZE, Arp, EtherType, Frame, Packet, parse
from wlbs.core.probe import PROBE_PORT
from wlbs.core.protocol.effects import (
    BounceLink,
    CountConnections,
    CountDeliveries,
    Effect,
    EndLease,
    HoldLease,
    InstallTable,
    SendDelivery,
    SendHeartbeat,
    SendProbe,
    SendPull,
    State,
)
from wlbs.core.protocol.events import (
    CarrierChanged,
    ConnectionsCounted,
    DrainstopRequested,
    Event,
    HeartbeatReceived,
    Instant,
    ProbeAnswered,
    StartRequested,
    StopRequested,
)
from wlbs.core.protocol.member import Member
from wlbs.core.protocol.speaking import Incarnation
from wlbs.core.reason import Action
from wlbs.core.rules import HostIndex
from wlbs.core.sighting import Sender, Where
from wlbs.scenario.evidence import LogEntry
from wlbs.scenario.leaking import PROGRAM
from wlbs.scenario.topology import Node
from wlbs.sim.agent import BUSY, CALM, Agent, Hands
from wlbs.sim.client import Asking, ask
from wlbs.sim.frames import (
    Path,
    ethernet,
    forwarded,
    is_for,
    read_tcp,
    read_udp,
    tcp,
    udp,
)
from wlbs.sim.igmp import Groups
from wlbs.sim.kernel import Kernel
from wlbs.sim.parts import Parts
from wlbs.sim.prng import Prng
from wlbs.sim.schedule import Schedule
from wlbs.sim.service import PORTS, Web, WebConnection
from wlbs.sim.stack import TcpStack
from wlbs.sim.station import Station

PROBE_SOURCE_PORT: Final = 49152
"""Where the agent's socket for probes lives: the first dynamic port (RFC 6335, 6)."""

LEAKER: Final = Sender(PROGRAM, 4711, 258609)
"""What sends below the guard here, as the real kernel would name it: process and socket."""

FIRST_NONCE: Final = 1_800_000_000_000_000_000
"""Boot nonces are times of day in nanoseconds; simulated ones begin in the year 2027."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is around a host."""

    schedule: Schedule
    transmit: Callable[[bytes], None]
    """Puts a frame on the wire."""
    write_log: Callable[[LogEntry], None]
    on_event: Callable[["Host", Event, tuple[Effect, ...]], None]
    on_done: Callable[["Host", Event, Instant], None]
    on_kept: Callable[[str, bytes], None] = lambda _host, _data: None
    bounce: Callable[[str], None] = lambda _host: None
    """Takes a host's link down and up again."""


class Host:
    """One host of the cluster."""

    def __init__(
        self, node: Node, cluster: Cluster, seed: int, around: Surroundings, parts: Parts
    ) -> None:
        """Have a service and no cluster yet: `begin` starts the agent."""
        self.node = node
        self.kernel: Kernel | None = None
        self.agent: Agent | None = None
        self.nonces: list[int] = []
        self.agent_ended_at = around.schedule.now
        self.is_up = True
        self.forwards = False
        """Whether it sends on what reaches its stack for somebody else."""
        self.cluster = cluster
        self._around = around
        self._parts = parts
        self._is_busy = False
        self._agents = Prng(seed, f"{node.name} agent")
        self._station = Station(around.schedule, node, self.send)
        self.groups = Groups(around.schedule, Prng(seed, f"{node.name} groups"), node, self.send)
        self._stack = TcpStack(
            around.schedule,
            Prng(seed, f"{node.name} stack"),
            lambda segment: self._station.send_packet(segment.path.peer, tcp(segment)),
        )
        self._web = Web(
            node.name, around.schedule, Prng(seed, f"{node.name} service"), around.write_log
        )
        for port in PORTS:
            self._stack.listen(port, self._serve)

    @property
    def own(self) -> HostIndex:
        """Its index, as tables count it."""
        return HostIndex(self.node.number - 1)

    @property
    def shown_mac(self) -> Mac:
        """What stands as the source in all that it sends."""
        return self.cluster.masked_mac(self.own, self.node.mac)

    @property
    def device_mac(self) -> Mac:
        """What its interface has as its own address now."""
        return self._station.mac

    @property
    def has_stopped(self) -> bool:
        """Whether its agent has ended, or takes no part any more."""
        return self.agent is None or self.agent.member.state is State.STOPPED

    def begin(self) -> None:
        """Begin an agent: it loads the data path, or takes over the one that is pinned."""
        assert self.agent is None, f"{self.node.name} has an agent"
        now = self._around.schedule.now
        is_fresh = self.kernel is None
        if self.kernel is None:
            # Two data paths of one host are never loaded at the same nanosecond of the clock.
            nonce = FIRST_NONCE + now + self._agents.between(0, 999)
            self.kernel = Kernel(self._around.schedule, self._stack, nonce, self._parts)
            self.nonces.append(nonce)
        incarnation = Incarnation(self.node.mac, self.kernel.boot_nonce, is_fresh)
        member = Member(self.cluster, self.own, incarnation, now)
        if is_fresh:
            self.kernel.install(member.table)
            self._take_posture()
        hands = Hands(
            self._carry_out,
            lambda event, effects: self._around.on_event(self, event, effects),
            lambda event, at: self._around.on_done(self, event, at),
        )
        self.agent = Agent(self._around.schedule, self._agents, member, hands)
        self.occupy(busy=self._is_busy)
        self.agent.take(StartRequested())

    def ask(self, server: IpAddress, asking: Asking) -> None:
        """Open a connection of the host's own, ask once, settle the outcome."""
        ask(self._around.schedule, self._stack, server, asking)

    def kill(self) -> None:
        """End the agent at once; what it pinned stays."""
        assert self.agent is not None, f"{self.node.name} has no agent"
        self.agent.kill()
        self.agent = None
        self.agent_ended_at = self._around.schedule.now

    def stall(self) -> None:
        """Stop the agent where it stands."""
        assert self.agent is not None, f"{self.node.name} has no agent"
        self.agent.stall()

    def resume(self) -> None:
        """Let the agent go on."""
        assert self.agent is not None, f"{self.node.name} has no agent"
        self.agent.resume()

    def undo(self) -> None:
        """End the agent and take its data path away."""
        self.kill()
        if self.cluster.group is not None:
            self.groups.leave(self.cluster.group)
        self.kernel = None
        self._station.set_mac(self.node.mac)

    def tell(self, event: StartRequested | StopRequested | DrainstopRequested) -> None:
        """Bring an operator's word to the agent."""
        assert self.agent is not None, f"{self.node.name} has no agent"
        self.agent.take(event)

    def occupy(self, *, busy: bool) -> None:
        """Keep the processors busy with other programs, or no longer."""
        self._is_busy = busy
        if self.agent is not None:
            self.agent.pace = BUSY if busy else CALM

    def send_cookies(self, *, wanted: bool) -> None:
        """Answer each SYN by a cookie, or no longer."""
        self._stack.sends_cookies = wanted

    def set_carrier(self, *, up: bool) -> None:
        """Tell the agent that its interface lost its carrier or regained it."""
        self.is_up = up
        if self.agent is not None:
            self.agent.take(CarrierChanged(up))

    def send(self, data: bytes) -> None:
        """Send a frame, past the guard."""
        if self.kernel is None:
            self._around.transmit(data)
            return
        passage = self.kernel.let_out(data)
        if passage.verdict.action is not Action.DROP:
            self._around.transmit(passage.data)

    def send_below(self, data: bytes) -> None:
        """Send a frame from below the guard, as a program does that leaves out its hook."""
        if self.kernel is not None and data[MAC_SIZE : 2 * MAC_SIZE] == self.cluster.vmac.octets:
            self.kernel.sight(Where.BYPASSED, data, LEAKER)
        self._around.transmit(data)

    def receive(self, data: bytes) -> None:
        """Take a frame from the wire, past the filter."""
        if self.kernel is None:
            self._take_in(data)
            return
        passage = self.kernel.let_in(data)
        match passage.verdict.action:
            case Action.ANSWER | Action.RELAY:
                # Sent by the ingress program itself: below the guard.
                self._around.transmit(passage.data)
            case Action.PASS:
                self._take_in(passage.data)
            case Action.KEEP:
                self._around.on_kept(self.node.name, passage.data)
                self._take_in(passage.data)
            case Action.DROP | Action.MASK:
                pass
            case _:
                assert_never(passage.verdict.action)

    def _take_posture(self) -> None:
        """Make of the interface what the cluster's mode asks for."""
        self._station.set_mac(self.cluster.station_mac(self.node.mac))
        if self.cluster.group is not None:
            self.groups.join(self.cluster.group)

    def _take_in(self, data: bytes) -> None:
        """Hand a frame to the host's stack, as the filter left it."""
        if not is_for(self._station.mac, data):
            return
        frame = parse(data)
        if not isinstance(frame, Frame):
            return
        if frame.ethertype == EtherType.HEARTBEAT:
            if self.agent is not None:
                self.agent.take(HeartbeatReceived(frame.source, data[ETHERNET_SIZE:]))
        elif isinstance(frame.payload, Arp):
            self._station.receive_arp(frame.payload)
        elif self.groups.receive(data):
            pass  # a querier's question, and its answer is planned
        elif isinstance(frame.payload, Packet):
            if self._is_local(frame.payload.destination):
                self._take_packet(data, frame.payload)
            elif self.forwards and not frame.destination.is_group:
                packet = forwarded(data[ETHERNET_SIZE:])
                self._station.send_packet(frame.payload.destination, packet)

    def _take_packet(self, data: bytes, packet: Packet) -> None:
        segment = read_tcp(data, packet)
        if segment is not None:
            self._stack.receive(segment)
        datagram = read_udp(data, packet)
        if datagram and datagram[0].peer_port == PROBE_SOURCE_PORT and self.agent is not None:
            self.agent.take(ProbeAnswered(datagram[1]))

    def _is_local(self, address: IpAddress) -> bool:
        """Whether the address is this host's; virtual ones are, while the data path is there."""
        is_virtual = address in self.cluster.vips
        return address == self.node.address or (is_virtual and self.kernel is not None)

    def _carry_out(self, effect: Effect) -> Event | None:
        kernel = self.kernel
        assert kernel is not None, "an agent has a data path"
        match effect:
            case InstallTable(table):
                kernel.install(table)
            case HoldLease(until):
                kernel.hold_lease(until)
            case EndLease():
                kernel.end_lease()
            case SendHeartbeat() | SendDelivery() | SendPull():
                self._speak(effect)
            case CountDeliveries():
                return kernel.deliveries()
            case BounceLink():
                self._around.bounce(self.node.name)
            case SendProbe(to, data):
                path = Path(self.node.address, PROBE_SOURCE_PORT, to, PROBE_PORT)
                self._station.send_packet(to, udp(path, data))
            case CountConnections():
                return ConnectionsCounted(kernel.census())
            case _:
                pass  # for the operator; the trace has them
        return None

    def _speak(self, message: SendHeartbeat | SendDelivery | SendPull) -> None:
        """Send one of the agent's own messages, from the address the host shows."""
        assert self.agent is not None, "agents carry out effects"
        vmac, source = self.cluster.vmac, self.agent.member.table.masked_mac
        match message:
            case SendHeartbeat(data):
                to = self.cluster.heartbeat_destination
                self.send(ethernet(to, source, EtherType.HEARTBEAT, data))
            case SendDelivery(data):
                self.send(ethernet(vmac, source, EtherType.HEARTBEAT, data))
            case SendPull(data):
                self._around.transmit(ethernet(BROADCAST, vmac, EtherType.HEARTBEAT, data))
            case _:
                assert_never(message)

    def _serve(self, path: Path) -> WebConnection:
        return WebConnection(self._web, path)
