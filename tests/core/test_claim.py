# SPDX-License-Identifier: Apache-2.0
"""Which segments each kind of socket claims: at the edges, across zero, with and without ACK."""

import pytest

from wlbs.core.claim import (
    WINDOW,
    Claim,
    Connection,
    HalfOpen,
    Listener,
    SocketFacts,
    TimeWait,
    judge,
)
from wlbs.core.frame import Segment, TcpFlags

ACK, RST, SYN = TcpFlags.ACK, TcpFlags.RST, TcpFlags.SYN
CIRCLE = 1 << 32


def segment(sequence: int, acknowledgement: int, flags: TcpFlags = ACK) -> Segment:
    return Segment(40000, 80, sequence % CIRCLE, acknowledgement % CIRCLE, flags)


@pytest.mark.parametrize("start", [0, 5, CIRCLE - 1, CIRCLE // 2, 10 * WINDOW])
@pytest.mark.parametrize("flags", [ACK, ACK | RST, ACK | SYN])
@pytest.mark.parametrize(
    ("socket", "first", "last"),
    [
        (HalfOpen(0, 0), 1, 1),
        (TimeWait(0, 0), -WINDOW, 0),
        (Connection(0, 1000, 0), 1 - WINDOW, 1000),
        (Connection(0, 0, 0), 1 - WINDOW, 0),
    ],
)
def test_a_socket_claims_what_acknowledges_its_own_numbers(
    socket: SocketFacts, first: int, last: int, start: int, flags: TcpFlags
) -> None:
    moved = shifted(socket, start)
    for number in (first, last):
        assert judge(moved, segment(0, start + number, flags)) is Claim.SOCKET
    for number in (first - 1, last + 1, last + CIRCLE // 2):
        assert judge(moved, segment(0, start + number, flags)) is Claim.NONE


@pytest.mark.parametrize("start", [0, CIRCLE - 1, CIRCLE // 2])
@pytest.mark.parametrize("socket", [HalfOpen(0, 0), TimeWait(0, 0), Connection(0, 0, 0)])
def test_a_bare_reset_is_claimed_by_what_is_expected_next(socket: SocketFacts, start: int) -> None:
    moved = shifted(socket, start)
    for offset in (0, 1, WINDOW):
        assert judge(moved, segment(start + offset, 0, RST)) is Claim.SOCKET
    for offset in (-1, -WINDOW, WINDOW + 1, CIRCLE // 2):
        assert judge(moved, segment(start + offset, 0, RST)) is Claim.NONE


def test_a_reset_meant_for_another_hosts_handshake_is_not_its_successors() -> None:
    """A SYN was sent again and kept elsewhere; its connection has come and gone there.

    The previous host still asks for the end of its handshake, and the client's stack says no.
    """
    first_number, asked_and_closed = 1000, 60
    refused = segment(first_number + 1, 0, RST)
    assert judge(HalfOpen(7, first_number + 1), refused) is Claim.SOCKET
    over = TimeWait(500, first_number + 1 + asked_and_closed)
    assert judge(over, refused) is Claim.NONE


@pytest.mark.parametrize("flags", [SYN, TcpFlags(0)])
def test_what_neither_acknowledges_nor_resets_is_claimed_by_no_socket(flags: TcpFlags) -> None:
    assert judge(Connection(0, 0, 0), segment(0, 0, flags)) is Claim.NONE


def test_a_syn_that_was_written_and_not_yet_answered_is_a_connections() -> None:
    assert judge(Connection(100, 101, 0), segment(7, 101, ACK | SYN)) is Claim.SOCKET


@pytest.mark.parametrize(
    ("sequence", "acknowledgement", "flags", "claim"),
    [
        (51, 1001, ACK, Claim.COOKIE),
        (151, 1101, ACK, Claim.COOKIE),
        (51, 1000, ACK, Claim.LISTENER),
        (50, 1001, ACK, Claim.LISTENER),
        (51, 1001, ACK | SYN, Claim.LISTENER),
        (51, 1001, ACK | RST, Claim.LISTENER),
        (51, 1001, RST, Claim.LISTENER),
    ],
)
def test_a_listener_knows_its_cookie_again(
    sequence: int, acknowledgement: int, flags: TcpFlags, claim: Claim
) -> None:
    assert judge(Listener(1000, 51), segment(sequence, acknowledgement, flags)) is claim


def test_a_listener_that_sent_no_cookie_knows_none() -> None:
    assert judge(Listener(), segment(0, 1)) is Claim.LISTENER


def shifted(socket: SocketFacts, by: int) -> SocketFacts:
    """Return the socket with all its numbers so much further round the circle."""
    match socket:
        case HalfOpen(isn, received):
            return HalfOpen((isn + by) % CIRCLE, (received + by) % CIRCLE)
        case TimeWait(sent, received):
            return TimeWait((sent + by) % CIRCLE, (received + by) % CIRCLE)
        case Connection(una, written, received):
            return Connection(
                (una + by) % CIRCLE, (written + by) % CIRCLE, (received + by) % CIRCLE
            )
        case Listener():
            return socket
