# SPDX-License-Identifier: Apache-2.0
"""What a host's sockets say of a TCP segment that might belong to one of them: the claim.

Knows the states in which a host can know of a connection, and which sequence numbers fit each.
Knows no bucket, no owner and no kernel: facts arrive as values. The eBPF twin is
``datapath/bpf/claim.h``, which finds the facts in the kernel's own table of sockets.

That a socket has the flow's addresses and ports does not make the segment its own. A SYN-ACK that
was lost while a bucket moved leaves half-open sockets on two hosts; a port pair used again leaves
TIME_WAIT on the one and a connection on the other. The segment's acknowledgement number tells them
apart, because each host draws its own initial sequence numbers:

* Half open: it acknowledges exactly our SYN-ACK.
* TIME_WAIT, also where we still wait for the client's FIN: it acknowledges our last octet, or one
  at most `WINDOW` before it.
* Any other state: it acknowledges at most what has been written, and more than what lies `WINDOW`
  before the oldest octet still unacknowledged. Written, not sent: the filter may see the answer to
  a segment before its sender has counted it as sent. SYN_SENT is such a state: its SYN is written.
* A bare RST acknowledges nothing. A client sends it where our segment said it was, so its sequence
  number is what we expect next, or at most `WINDOW` beyond it: the stack may not have come so far
  yet. One before it says nothing to us; it answers a host that knew less of the client's SYN.
  What is left is for the stack, which asks for more (RFC 5961).

Whatever neither acknowledges nor resets is claimed by nobody; a stack would not take it either. All
arithmetic is modulo 2^32 (RFC 9293, section 3.4). A foreign segment with random numbers fits about
once in a thousand (`WINDOW` of 2^32); then the stack's own checks remain.
"""

from dataclasses import dataclass
from enum import IntEnum, unique
from typing import Final, assert_never

from wlbs.core.frame import Segment, TcpFlags

WINDOW: Final = 4 * 1024 * 1024
"""4 MiB: how far behind a delayed acknowledgement may lie; Linux's tcp_wmem goes no further."""

_MODULUS: Final = 1 << 32


@unique
class Claim(IntEnum):
    """What the host's sockets say of a TCP segment."""

    NONE = 0
    """No socket knows the flow, or the one that does says that the segment is not its own."""
    LISTENER = 1
    """Only a listener would take it."""
    COOKIE = 2
    """A listener would take it, and it acknowledges a SYN cookie of this host."""
    SOCKET = 3
    """A socket has this very connection, and the segment fits its sequence numbers."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A listener, and the SYN cookie it sent this client if it sent one."""

    cookie: int | None = None
    rcv_nxt: int = 0
    """What the client's next segment begins with."""


@dataclass(frozen=True, slots=True)
class HalfOpen:
    """A SYN was answered with ``snt_isn``, and nothing has come back yet."""

    snt_isn: int
    rcv_nxt: int


@dataclass(frozen=True, slots=True)
class TimeWait:
    """A connection that we have closed and only remember."""

    snd_nxt: int
    rcv_nxt: int


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection in any other state, from SYN_SENT to LAST_ACK."""

    snd_una: int
    write_seq: int
    rcv_nxt: int


SocketFacts = Listener | HalfOpen | TimeWait | Connection


def judge(socket: SocketFacts, segment: Segment) -> Claim:
    """Return what the socket that has the segment's addresses and ports says of it."""
    if isinstance(socket, Listener):
        return Claim.COOKIE if _acknowledges_cookie(socket, segment) else Claim.LISTENER
    fits = False
    if segment.flags & TcpFlags.ACK:
        fits = _acknowledges(socket, segment.acknowledgement)
    elif segment.flags & TcpFlags.RST:
        fits = _lies_within(segment.sequence, socket.rcv_nxt, WINDOW)
    return Claim.SOCKET if fits else Claim.NONE


def _acknowledges_cookie(listener: Listener, segment: Segment) -> bool:
    """Whether a segment brings back the cookie.

    Linux adds the client's first number to a secret hash, so only the distance of the two counts;
    it also takes the neighbours that stand for other segment sizes, which no host has sent.
    """
    if listener.cookie is None or segment.flags != TcpFlags.ACK:
        return False
    distance = segment.acknowledgement - segment.sequence
    return (distance - (listener.cookie + 1 - listener.rcv_nxt)) % _MODULUS == 0


def _acknowledges(socket: HalfOpen | TimeWait | Connection, number: int) -> bool:
    match socket:
        case HalfOpen(snt_isn):
            return _lies_within(number, snt_isn + 1, 0)
        case TimeWait(snd_nxt):
            return _lies_within(number, snd_nxt - WINDOW, WINDOW)
        case Connection(snd_una, write_seq):
            first = snd_una - WINDOW + 1
            return _lies_within(number, first, (write_seq - first) % _MODULUS)
        case _:
            assert_never(socket)


def _lies_within(number: int, first: int, span: int) -> bool:
    """Whether a number is one of the ``span`` + 1 that begin with ``first``."""
    return (number - first) % _MODULUS <= span
