# SPDX-License-Identifier: Apache-2.0
"""A simulated client: single requests and long-lived connections, and what became of each.

Knows HTTP, patience and the virtual IP. Knows nothing of hosts or of who should answer.
"""

from collections.abc import Callable
from typing import Final

from wlbs.core.address import IpAddress
from wlbs.core.frame import Arp, Frame, Packet, parse
from wlbs.scenario.draw import PlannedFlow
from wlbs.scenario.evidence import Attempt, Connection, Failure
from wlbs.scenario.topology import Node
from wlbs.sim.frames import Path, is_for, read_tcp, tcp
from wlbs.sim.prng import Prng
from wlbs.sim.schedule import NS_PER_MS, NS_PER_S, Plan, Schedule
from wlbs.sim.service import ASK_AGAIN, ASK_ONCE, host_of
from wlbs.sim.stack import TcpStack
from wlbs.sim.station import Station, next_hop
from wlbs.sim.tcp import Socket

PATIENCE_NS: Final = 3500 * NS_PER_MS
"""A lost SYN is sent again after 1 s and, if that one is lost too, after 3 s, as in the lab."""

TRANSFER_INTERVAL_NS: Final = 300 * NS_PER_MS
"""Between an answer and the next question on a connection that lasts, as in the lab."""
TRANSFER_PATIENCE_NS: Final = 2 * NS_PER_S
"""A connection without an answer for so long hangs: its retransmissions, after 200, 600 and
1400 ms, were in vain too."""


class Asking:
    """One connection with one request, and its outcome."""

    def __init__(self, flow: PlannedFlow, at_ns: int, on_end: Callable[[], None]) -> None:
        """Know the flow and when it began; ``on_end`` is called once."""
        self.flow = flow
        self.at_ns = at_ns
        self.answered_by: str | None = None
        self.error = ""
        self.has_ended = False
        self.on_opened: Callable[[], object] = lambda: None
        """Who wants to hear that it is open."""
        self._on_end = on_end

    def opened(self, socket: Socket) -> None:
        """Ask."""
        self.on_opened()
        socket.send(ASK_ONCE)

    def received(self, socket: Socket, data: bytes) -> None:
        """Take the answer; the service closes."""
        del socket
        self.answered_by = host_of(data)

    def peer_closed(self, socket: Socket) -> None:
        """Close as well: the connection has come to its end."""
        socket.close()
        self.end("" if self.answered_by else Failure.CLOSED)

    def broken(self, socket: Socket, error: str) -> None:
        """Give up."""
        del socket
        self.end("" if self.answered_by else error)

    def end(self, error: str) -> None:
        """Settle the outcome, unless it is settled."""
        if not self.has_ended:
            self.has_ended = True
            self.error = error
            self._on_end()

    def outcome(self, origin_ns: int) -> Attempt:
        """Return the outcome as evidence."""
        flow, at_s = self.flow, (self.at_ns - origin_ns) / NS_PER_S
        where = (flow.source, flow.source_port, flow.server_port)
        return Attempt(flow.batch, at_s, flow.client, *where, self.answered_by, self.error)


class Lasting:
    """One long-lived connection that transfers something again and again."""

    def __init__(self, schedule: Schedule, flow: PlannedFlow, phase_ns: int) -> None:
        """Know the flow; the connection is about to be opened.

        The second question comes after ``phase_ns``, so that those of many do not come at once.
        """
        self.flow = flow
        self.answered_by: str | None = None
        self.error = ""
        self.closed_ns: int | None = None
        self._schedule = schedule
        self._opened_ns = int(schedule.now)
        self._transfer_count = 0
        self._last_transfer_ns = int(schedule.now)
        self._phase_ns = phase_ns
        self._patience: Plan | None = None

    @property
    def is_settled(self) -> bool:
        """Whether it has been answered, or has failed."""
        return bool(self.answered_by or self.error)

    @property
    def is_open(self) -> bool:
        """Whether it has neither been closed nor broken."""
        return self.closed_ns is None and not self.error

    def expect(self, socket: Socket, patience_ns: int) -> None:
        """Count the connection as broken if nothing comes for so long."""
        self._stop_waiting()
        self._patience = self._schedule.after(patience_ns, lambda: self._lose_patience(socket))

    def opened(self, socket: Socket) -> None:
        """Ask for the first time."""
        self._ask(socket)

    def received(self, socket: Socket, data: bytes) -> None:
        """Count a transfer and plan the next; the second falls into this connection's phase."""
        self.answered_by = host_of(data)
        wait_ns = TRANSFER_INTERVAL_NS if self._transfer_count else self._phase_ns
        self._transfer_count += 1
        self._last_transfer_ns = int(self._schedule.now)
        self._stop_waiting()
        self._schedule.after(wait_ns, lambda: self._ask(socket))

    def peer_closed(self, socket: Socket) -> None:
        """Count as broken: the service had no reason to close."""
        socket.close()
        self.broken(socket, Failure.CLOSED)

    def broken(self, socket: Socket, error: str) -> None:
        """Count as broken, unless it was closed before."""
        del socket
        self._stop_waiting()
        if self.is_open:
            self.error = error

    def close(self, socket: Socket | None) -> None:
        """Close the connection."""
        self._stop_waiting()
        if self.is_open:
            self.closed_ns = int(self._schedule.now)
            if socket:
                socket.close()

    @property
    def is_idle(self) -> bool:
        """Whether no answer is outstanding."""
        return self._patience is None

    def vanish(self) -> None:
        """Be forgotten by the client."""
        self._stop_waiting()
        self.closed_ns = int(self._schedule.now)

    def outcome(self, origin_ns: int) -> Connection:
        """Return what became of it as evidence."""
        flow = self.flow
        return Connection(
            batch=flow.batch,
            client=flow.client,
            source=flow.source,
            source_port=flow.source_port,
            server_port=flow.server_port,
            opened_s=(self._opened_ns - origin_ns) / NS_PER_S,
            answered_by=self.answered_by,
            transfer_count=self._transfer_count,
            last_transfer_s=(self._last_transfer_ns - origin_ns) / NS_PER_S,
            closed_s=None if self.closed_ns is None else (self.closed_ns - origin_ns) / NS_PER_S,
            error=self.error,
        )

    def _ask(self, socket: Socket) -> None:
        if self.is_open:
            socket.send(ASK_AGAIN)
            self.expect(socket, TRANSFER_PATIENCE_NS)

    def _lose_patience(self, socket: Socket) -> None:
        self.broken(socket, Failure.SILENT)
        socket.close()

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


class Client:
    """One client node."""

    def __init__(self, schedule: Schedule, prng: Prng, station: Station) -> None:
        """Live at a station."""
        self._schedule = schedule
        self._station = station
        self._phases = prng
        self._stack = TcpStack(
            schedule, prng, lambda segment: station.send_packet(segment.path.peer, tcp(segment))
        )

    @property
    def node(self) -> Node:
        """The node this client is."""
        return self._station.node

    def ask(self, server: IpAddress, asking: Asking) -> None:
        """Open a connection, ask once, settle the outcome: no wait is longer than a patience."""
        ask(self._schedule, self._stack, server, asking)

    def open(self, vip: IpAddress, flow: PlannedFlow) -> Lasting:
        """Open a long-lived connection."""
        lasting = Lasting(self._schedule, flow, self._phases.between(1, TRANSFER_INTERVAL_NS))
        lasting.expect(self._stack.connect(_path(vip, flow), lasting), PATIENCE_NS)
        return lasting

    def close(self, vip: IpAddress, lasting: Lasting) -> None:
        """Close a long-lived connection."""
        lasting.close(self._stack.socket(_path(vip, lasting.flow)))

    def vanish(self, vip: IpAddress, lasting: Lasting) -> None:
        """Forget a long-lived connection."""
        lasting.vanish()
        socket = self._stack.socket(_path(vip, lasting.flow))
        if socket is not None:
            socket.vanish()

    def receive(self, data: bytes) -> None:
        """Take a frame from the wire, if it is for this node."""
        if not is_for(self.node.mac, data):
            return
        frame = parse(data)
        if not isinstance(frame, Frame):
            return
        if isinstance(frame.payload, Arp):
            self._station.receive_arp(frame.payload)
        elif isinstance(frame.payload, Packet) and self._is_local(frame.payload.destination):
            segment = read_tcp(data, frame.payload)
            if segment:
                self._stack.receive(segment)

    def _is_local(self, address: IpAddress) -> bool:
        """Whether an address is this node's or behind it: frames to a group bring all packets."""
        return next_hop(address) == self.node.address


def ask(schedule: Schedule, stack: TcpStack, server: IpAddress, asking: Asking) -> None:
    """Have a node's stack open a connection, and settle the outcome within a patience."""
    socket = stack.connect(_path(server, asking.flow), asking)

    def lose_patience() -> None:
        if not asking.has_ended:
            asking.end("" if asking.answered_by else Failure.SILENT)
            socket.close()

    opening = schedule.after(PATIENCE_NS, lose_patience)

    def wait_for_answer() -> None:
        opening.cancel()
        schedule.after(TRANSFER_PATIENCE_NS, lose_patience)

    asking.on_opened = wait_for_answer


def _path(server: IpAddress, flow: PlannedFlow) -> Path:
    return Path(flow.source, flow.source_port, server, flow.server_port)
