# SPDX-License-Identifier: Apache-2.0
"""One TCP connection as one end sees it: a small model of RFC 9293.

Knows the handshake, retransmission, closing from either side, resets and TIME_WAIT. Leaves out
windows, congestion, options and segments out of order: what does not come next is dropped and
acknowledged again, so that the other end sends it once more. Says what it does in segments and
plans; knows nothing of frames, listeners or clusters.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Final, Protocol

from wlbs.scenario.evidence import Failure
from wlbs.sim.frames import ACK, FIN, PSH, RST, SYN, Path, TcpSegment
from wlbs.sim.schedule import NS_PER_MS, NS_PER_S, Plan, Schedule

FIRST_TIMEOUT_NS: Final = 1 * NS_PER_S
"""Until a round trip has been measured (RFC 6298, 2.1)."""
TIMEOUT_NS: Final = 200 * NS_PER_MS
"""Linux's TCP_RTO_MIN, which rules wherever the round trip is short."""
RETRY_COUNT_MAX: Final = 15
"""net.ipv4.tcp_retries2."""
TIME_WAIT_NS: Final = 60 * NS_PER_S
"""Linux's TCP_TIMEWAIT_LEN."""

_SPACE: Final = 1 << 32


@unique
class TcpState(StrEnum):
    """RFC 9293, 3.3.2; LISTEN is the stack's."""

    SYN_SENT = "SYN-SENT"
    SYN_RECEIVED = "SYN-RECEIVED"
    ESTABLISHED = "ESTABLISHED"
    FIN_WAIT_1 = "FIN-WAIT-1"
    FIN_WAIT_2 = "FIN-WAIT-2"
    CLOSING = "CLOSING"
    TIME_WAIT = "TIME-WAIT"
    CLOSE_WAIT = "CLOSE-WAIT"
    LAST_ACK = "LAST-ACK"
    CLOSED = "CLOSED"


HANDSHAKES: Final = frozenset({TcpState.SYN_SENT, TcpState.SYN_RECEIVED})
OPEN_FOR_DATA: Final = frozenset({TcpState.ESTABLISHED, TcpState.FIN_WAIT_1, TcpState.FIN_WAIT_2})
"""The peer may still send."""

LINEAR_COUNT: Final = {TcpState.SYN_SENT: 4}
"""Timeouts that do not double: net.ipv4.tcp_syn_linear_timeouts, since Linux 6.5 (ccce324dabfe)."""
HANDSHAKE_RETRY_COUNT_MAX: Final = {TcpState.SYN_SENT: 6 + 4, TcpState.SYN_RECEIVED: 5}
"""net.ipv4.tcp_syn_retries, to which the linear ones are added, and tcp_synack_retries."""

_AFTER_CLOSE: Final = {
    TcpState.ESTABLISHED: TcpState.FIN_WAIT_1,
    TcpState.CLOSE_WAIT: TcpState.LAST_ACK,
}
_AFTER_FIN: Final = {
    TcpState.ESTABLISHED: TcpState.CLOSE_WAIT,
    TcpState.FIN_WAIT_1: TcpState.CLOSING,
    TcpState.FIN_WAIT_2: TcpState.TIME_WAIT,
}
_AFTER_FIN_ACKNOWLEDGED: Final = {
    TcpState.FIN_WAIT_1: TcpState.FIN_WAIT_2,
    TcpState.CLOSING: TcpState.TIME_WAIT,
    TcpState.LAST_ACK: TcpState.CLOSED,
}


class Application(Protocol):
    """Who uses a connection."""

    def opened(self, socket: "Socket") -> None:
        """Take note that the handshake is complete."""

    def received(self, socket: "Socket", data: bytes) -> None:
        """Take what the peer sent."""

    def peer_closed(self, socket: "Socket") -> None:
        """Take note that the peer will send nothing more."""

    def broken(self, socket: "Socket", error: str) -> None:
        """Take note that the connection was reset, refused or given up."""


@dataclass(frozen=True, slots=True)
class Outlet:
    """What a connection needs of its stack."""

    schedule: Schedule
    transmit: Callable[[TcpSegment], None]
    forget: Callable[["Socket"], None]


class Socket:
    """One end of one connection."""

    def __init__(self, outlet: Outlet, path: Path, isn: int, application: Application) -> None:
        """Be nothing yet: `connect` or `accept` begins."""
        self.path = path
        self.state = TcpState.CLOSED
        self.snd_isn = isn
        self.snd_una = isn
        self.snd_nxt = isn
        """Also where the application's next octet goes: nothing waits to be sent."""
        self.rcv_nxt = 0
        self._outlet = outlet
        self._application = application
        self._unacknowledged: deque[TcpSegment] = deque()
        self._timer: Plan | None = None
        self._retry_count = 0
        self._owes_acknowledgement = False

    def connect(self) -> None:
        """Send a SYN."""
        self.state = TcpState.SYN_SENT
        self._send(SYN)

    def accept(self, syn: TcpSegment) -> None:
        """Answer a SYN."""
        self.state = TcpState.SYN_RECEIVED
        self.rcv_nxt = _plus(syn.sequence, 1)
        self._send(SYN | ACK)

    def recall(self, segment: TcpSegment) -> None:
        """Be half open as the SYN cookie says that this segment acknowledges, and take it."""
        self.state = TcpState.SYN_RECEIVED
        self.snd_isn = self.snd_una = _plus(segment.acknowledgement, -1)
        self.snd_nxt = segment.acknowledgement
        self.rcv_nxt = segment.sequence
        self.receive(segment)

    def vanish(self) -> None:
        """Be forgotten; the other end is told nothing."""
        self._end()

    def send(self, data: bytes) -> bool:
        """Send one segment's worth of data; False if the connection takes none any more."""
        if self.state not in {TcpState.ESTABLISHED, TcpState.CLOSE_WAIT}:
            return False
        self._send(ACK | PSH, data)
        return True

    def close(self) -> None:
        """Say that nothing more will be sent; in a handshake, give up without a word."""
        if self.state in HANDSHAKES:
            self._end()
        elif self.state in _AFTER_CLOSE:
            self.state = _AFTER_CLOSE[self.state]
            self._send(FIN | ACK)

    def receive(self, segment: TcpSegment) -> None:
        """Take a segment of this connection."""
        match self.state:
            case TcpState.SYN_SENT:
                self._receive_in_syn_sent(segment)
            case TcpState.SYN_RECEIVED:
                self._receive_in_syn_received(segment)
            case _:
                self._receive_when_synchronized(segment)

    def _receive_in_syn_sent(self, segment: TcpSegment) -> None:
        """RFC 9293, 3.10.7.3, without simultaneous opening."""
        acknowledges = segment.flags & ACK and segment.acknowledgement == self.snd_nxt
        if segment.flags & RST:
            if acknowledges:
                self._break(Failure.REFUSED)
        elif not acknowledges:
            self._outlet.transmit(refusal_of(segment))
        elif segment.flags & SYN:
            self.rcv_nxt = _plus(segment.sequence, 1)
            self._acknowledged(segment.acknowledgement)
            self._establish()
            self._acknowledge_if_owed()

    def _receive_in_syn_received(self, segment: TcpSegment) -> None:
        if segment.flags & RST:
            if segment.sequence == self.rcv_nxt:
                self._end()
        elif segment.flags & SYN:
            self._transmit(self._unacknowledged[0])
        elif segment.flags & ACK and segment.acknowledgement == self.snd_nxt:
            self._acknowledged(segment.acknowledgement)
            self._establish()
            self._owes_acknowledgement = False
            self._receive_when_synchronized(segment)
        elif segment.flags & ACK:
            self._outlet.transmit(refusal_of(segment))

    def _receive_when_synchronized(self, segment: TcpSegment) -> None:
        if segment.flags & RST:
            self._reset_by(segment)
            return
        if segment.flags & SYN or not segment.flags & ACK:
            # RFC 5961, 4: a challenge; a peer that has really begun anew answers with a reset.
            self._transmit_acknowledgement()
            return
        if is_after(segment.acknowledgement, self.snd_nxt):
            self._transmit_acknowledgement()
            return
        self._acknowledged(segment.acknowledgement)
        if segment.size:
            self._take(segment)
        self._acknowledge_if_owed()

    def _take(self, segment: TcpSegment) -> None:
        """Take what comes next; acknowledge again what does not."""
        self._owes_acknowledgement = True
        if segment.sequence != self.rcv_nxt or self.state not in OPEN_FOR_DATA:
            return
        self.rcv_nxt = _plus(self.rcv_nxt, segment.size)
        if segment.payload:
            self._application.received(self, segment.payload)
        if segment.flags & FIN and self.state in _AFTER_FIN:
            self.state = _AFTER_FIN[self.state]
            self._wait_if_over()
            if self.state is TcpState.CLOSE_WAIT:
                self._application.peer_closed(self)

    def _acknowledged(self, acknowledgement: int) -> None:
        if not is_after(acknowledgement, self.snd_una):
            return
        self.snd_una = acknowledgement
        while self._unacknowledged and not is_after(
            _plus(self._unacknowledged[0].sequence, self._unacknowledged[0].size), acknowledgement
        ):
            done = self._unacknowledged.popleft()
            if done.flags & FIN and self.state in _AFTER_FIN_ACKNOWLEDGED:
                self.state = _AFTER_FIN_ACKNOWLEDGED[self.state]
        self._retry_count = 0
        self._rearm()
        self._wait_if_over()

    def _establish(self) -> None:
        self.state = TcpState.ESTABLISHED
        self._owes_acknowledgement = True
        self._application.opened(self)

    def _wait_if_over(self) -> None:
        if self.state is TcpState.TIME_WAIT:
            self._rearm()
            self._outlet.schedule.after(TIME_WAIT_NS, self._end)
        elif self.state is TcpState.CLOSED:
            self._end()

    def _reset_by(self, segment: TcpSegment) -> None:
        """RFC 5961, 3: only the very next sequence number resets; what is near is challenged."""
        if segment.sequence == self.rcv_nxt:
            self._break(Failure.RESET)
        elif is_after(segment.sequence, self.rcv_nxt):
            self._transmit_acknowledgement()

    def _break(self, error: str) -> None:
        was_waiting = self.state is TcpState.TIME_WAIT
        self._end()
        if not was_waiting:
            self._application.broken(self, error)

    def _end(self) -> None:
        self.state = TcpState.CLOSED
        self._unacknowledged.clear()
        self._rearm()
        self._outlet.forget(self)

    def _send(self, flags: int, payload: bytes = b"") -> None:
        acknowledgement = self.rcv_nxt if flags & ACK else 0
        segment = TcpSegment(self.path, self.snd_nxt, acknowledgement, flags, payload)
        self.snd_nxt = _plus(self.snd_nxt, segment.size)
        self._unacknowledged.append(segment)
        self._owes_acknowledgement = False
        self._transmit(segment)
        if self._timer is None:
            self._rearm()

    def _transmit(self, segment: TcpSegment) -> None:
        """Send a segment, with the acknowledgement of now."""
        if segment.acknowledgement != self.rcv_nxt and segment.flags & ACK:
            segment = TcpSegment(
                segment.path, segment.sequence, self.rcv_nxt, segment.flags, segment.payload
            )
        self._outlet.transmit(segment)

    def _acknowledge_if_owed(self) -> None:
        if self._owes_acknowledgement and self.state is not TcpState.CLOSED:
            self._transmit_acknowledgement()

    def _transmit_acknowledgement(self) -> None:
        self._owes_acknowledgement = False
        self._outlet.transmit(TcpSegment(self.path, self.snd_nxt, self.rcv_nxt, ACK))

    def _rearm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._unacknowledged:
            first_ns = FIRST_TIMEOUT_NS if self.state in HANDSHAKES else TIMEOUT_NS
            doubled_count = max(0, self._retry_count - LINEAR_COUNT.get(self.state, 0))
            self._timer = self._outlet.schedule.after(first_ns << doubled_count, self._retransmit)

    def _retransmit(self) -> None:
        self._timer = None
        if self._retry_count == HANDSHAKE_RETRY_COUNT_MAX.get(self.state, RETRY_COUNT_MAX):
            self._break(Failure.SILENT)
            return
        self._retry_count += 1
        self._transmit(self._unacknowledged[0])
        self._rearm()


def refusal_of(segment: TcpSegment) -> TcpSegment:
    """Return the reset that answers a segment of no connection (RFC 9293, 3.10.7.1)."""
    if segment.flags & ACK:
        return TcpSegment(segment.path.reversed, segment.acknowledgement, 0, RST)
    acknowledgement = _plus(segment.sequence, segment.size)
    return TcpSegment(segment.path.reversed, 0, acknowledgement, RST | ACK)


def is_after(one: int, other: int) -> bool:
    """Whether one sequence number comes after another, in a space that wraps (RFC 9293, 3.4)."""
    return 0 < (one - other) % _SPACE < _SPACE // 2


def _plus(sequence: int, size: int) -> int:
    return (sequence + size) % _SPACE
