# SPDX-License-Identifier: Apache-2.0
"""The TCP model keeps RFC 9293 where scenarios look: handshake, loss, resets and closing."""

from collections.abc import Callable

import pytest

from wlbs.core.address import IpAddress
from wlbs.sim.frames import ACK, FIN, RST, SYN, Path, TcpSegment
from wlbs.sim.prng import Prng
from wlbs.sim.schedule import NS_PER_MS, NS_PER_S, Schedule
from wlbs.sim.stack import TcpStack
from wlbs.sim.tcp import TIME_WAIT_NS, Socket, TcpState, is_after

PATH = Path(IpAddress.parse("10.9.0.201"), 40_000, IpAddress.parse("10.9.0.100"), 80)
FLIGHT_NS = 50_000

Loses = Callable[[str, TcpSegment], bool]


class Notes:
    """An application that notes what happens to it, and answers if it is told to."""

    def __init__(self, answer: bytes = b"") -> None:
        """Begin with nothing noted."""
        self.noted: list[str] = []
        self._answer = answer

    def opened(self, socket: Socket) -> None:
        """Note it."""
        del socket
        self.noted.append("opened")

    def received(self, socket: Socket, data: bytes) -> None:
        """Note it, and answer."""
        self.noted.append(data.decode())
        if self._answer:
            socket.send(self._answer)

    def peer_closed(self, socket: Socket) -> None:
        """Note it, and close as well."""
        self.noted.append("peer closed")
        socket.close()

    def broken(self, socket: Socket, error: str) -> None:
        """Note it."""
        del socket
        self.noted.append(error)


class Pair:
    """A client and a server, and a wire that shows and may lose each segment."""

    def __init__(self) -> None:
        """Connect two stacks."""
        self.schedule = Schedule()
        self.seen: list[tuple[int, str, TcpSegment]] = []
        self.loses: Loses = lambda _side, _segment: False
        self.client = TcpStack(self.schedule, Prng(1, "c"), lambda s: self._carry("c", s))
        self.server = TcpStack(self.schedule, Prng(1, "s"), lambda s: self._carry("s", s))
        self.at_client, self.at_server = Notes(), Notes(b"answer")
        self.server.listen(80, lambda _: self.at_server)

    def open(self) -> Socket:
        """Open the connection and return the client's end."""
        socket = self.client.connect(PATH, self.at_client)
        self.run(NS_PER_MS)
        return socket

    @property
    def accepted(self) -> Socket:
        """The server's end."""
        socket = self.server.socket(PATH.reversed)
        assert socket
        return socket

    def run(self, duration_ns: int) -> None:
        """Let time pass."""
        self.schedule.run_until(self.schedule.now + duration_ns)

    def flags(self, side: str) -> list[int]:
        """Return the flags of what a side has sent."""
        return [segment.flags for sender, segment in self._sent() if sender == side]

    def _sent(self) -> list[tuple[str, TcpSegment]]:
        return [(side, segment) for _, side, segment in self.seen]

    def _carry(self, side: str, segment: TcpSegment) -> None:
        self.seen.append((self.schedule.now, side, segment))
        other = self.server if side == "c" else self.client
        if not self.loses(side, segment):
            self.schedule.after(FLIGHT_NS, lambda: other.receive(segment))


@pytest.fixture
def pair() -> Pair:
    """Return a client and a server that have not met."""
    return Pair()


def test_a_connection_opens_transfers_and_closes_and_the_closer_waits(pair: Pair) -> None:
    socket = pair.open()
    assert [segment.flags for _, _, segment in pair.seen] == [SYN, SYN | ACK, ACK]
    assert socket.state is pair.accepted.state is TcpState.ESTABLISHED
    socket.send(b"question")
    pair.run(NS_PER_MS)
    assert pair.at_client.noted == ["opened", "answer"]
    assert pair.at_server.noted == ["opened", "question"]
    assert len(pair.seen) == 6, "the answer carries the acknowledgement of the question"
    pair.accepted.close()
    server_end = pair.accepted
    pair.run(NS_PER_MS)
    assert pair.at_client.noted[-1] == "peer closed"
    assert server_end.state is TcpState.TIME_WAIT
    assert pair.client.socket(PATH) is None
    pair.run(TIME_WAIT_NS - 3 * NS_PER_MS)
    assert pair.server.sockets() == (server_end,)
    pair.run(4 * NS_PER_MS)
    assert pair.server.sockets() == ()


def test_both_may_close_at_once(pair: Pair) -> None:
    socket, accepted = pair.open(), pair.accepted
    socket.close()
    accepted.close()
    pair.run(NS_PER_MS)
    assert socket.state is accepted.state is TcpState.TIME_WAIT


def test_the_accepting_end_may_be_closed_first(pair: Pair) -> None:
    socket, accepted = pair.open(), pair.accepted
    socket.close()
    pair.run(NS_PER_MS)
    assert pair.at_server.noted == ["opened", "peer closed"]
    assert (socket.state, accepted.state) == (TcpState.TIME_WAIT, TcpState.CLOSED)


@pytest.mark.parametrize(
    ("side", "flags", "waited_ns"),
    [
        ("c", SYN, NS_PER_S),
        ("s", SYN | ACK, NS_PER_S),
        ("c", ACK | 8, 200 * NS_PER_MS),
        ("s", ACK | 8, 200 * NS_PER_MS),
        ("s", FIN | ACK, 200 * NS_PER_MS),
    ],
)
def test_what_is_lost_once_is_sent_again(pair: Pair, side: str, flags: int, waited_ns: int) -> None:
    """After 1 s in the handshake, 200 ms later on."""

    def loses(sender: str, segment: TcpSegment) -> bool:
        same = [s for _, who, s in pair.seen if who == side and s.flags == flags]
        return sender == side and segment.flags == flags and len(same) == 1

    pair.loses = loses
    socket = pair.client.connect(PATH, pair.at_client)
    pair.run(2 * NS_PER_S)
    socket.send(b"question")
    pair.run(NS_PER_S)
    pair.accepted.close()
    pair.run(NS_PER_S)
    assert pair.at_client.noted == ["opened", "answer", "peer closed"]
    times = [at for at, who, segment in pair.seen if who == side and segment.flags == flags]
    assert times[1] - times[0] == waited_ns


def test_the_last_word_of_the_handshake_may_be_lost(pair: Pair) -> None:
    """What follows it carries the same acknowledgement."""
    pair.loses = lambda side, segment: side == "c" and segment.flags == ACK and len(pair.seen) == 3
    socket = pair.open()
    assert pair.accepted.state is TcpState.SYN_RECEIVED
    socket.send(b"question")
    pair.run(NS_PER_MS)
    assert pair.at_client.noted == ["opened", "answer"]


def test_timeouts_double_but_for_the_first_and_end(pair: Pair) -> None:
    pair.loses = lambda _side, _segment: True
    pair.client.connect(PATH, pair.at_client)
    pair.run(200 * NS_PER_S)
    times = [at // NS_PER_S for at, _, _ in pair.seen]
    assert times == [0, 1, 2, 3, 4, 5, 7, 11, 19, 35, 67]
    assert pair.at_client.noted == ["no answer"]
    assert pair.client.sockets() == ()


def test_a_port_without_a_listener_refuses(pair: Pair) -> None:
    path = Path(PATH.own, PATH.own_port, PATH.peer, 443)
    pair.client.connect(path, pair.at_client)
    pair.run(NS_PER_MS)
    assert pair.flags("s") == [RST | ACK]
    assert pair.at_client.noted == ["refused"]


def test_a_segment_of_no_connection_is_reset_and_a_reset_is_not(pair: Pair) -> None:
    pair.server.receive(TcpSegment(PATH, 5, 77, ACK))
    pair.server.receive(TcpSegment(PATH, 5, 77, RST))
    assert [(segment.flags, segment.sequence) for _, _, segment in pair.seen] == [(RST, 77)]


def test_only_the_next_sequence_number_resets(pair: Pair) -> None:
    socket = pair.open()
    sent_before = len(pair.seen)
    reply = PATH.reversed
    pair.client.receive(TcpSegment(reply, socket.rcv_nxt - 1, 0, RST))
    assert len(pair.seen) == sent_before
    pair.client.receive(TcpSegment(reply, socket.rcv_nxt + 1, 0, RST))
    assert pair.seen[-1][2].flags == ACK, "a challenge (RFC 5961)"
    assert pair.at_client.noted == ["opened"]
    pair.client.receive(TcpSegment(reply, socket.rcv_nxt, 0, RST))
    assert pair.at_client.noted == ["opened", "reset"]
    socket.send(b"into the void")
    assert pair.seen[-1][2].payload == b""


def test_a_reset_ends_a_half_open_connection_and_a_waiting_one_in_silence(pair: Pair) -> None:
    pair.loses = lambda side, segment: side == "c" and segment.flags == ACK
    pair.open()
    half_open = pair.accepted
    pair.server.receive(TcpSegment(PATH, half_open.rcv_nxt + 1, 0, RST))
    assert half_open.state is TcpState.SYN_RECEIVED
    pair.server.receive(TcpSegment(PATH, half_open.rcv_nxt, 0, RST))
    assert pair.server.sockets() == ()
    assert pair.at_server.noted == []
    pair.loses = lambda _side, _segment: False
    other = Pair()
    other.open()
    waiting = other.accepted
    waiting.close()
    other.run(NS_PER_MS)
    other.server.receive(TcpSegment(PATH, waiting.rcv_nxt, 0, RST))
    assert other.at_server.noted == ["opened"]
    assert waiting.state is TcpState.CLOSED


def test_a_second_answer_to_a_syn_breaks_the_connection(pair: Pair) -> None:
    """Why two hosts must never answer: the reset by the second one fits."""
    second = TcpStack(pair.schedule, Prng(9, "second"), pair.client.receive)
    second.listen(80, lambda _: Notes())
    pair.open()
    second.receive(pair.seen[0][2])
    second.receive(pair.seen[-1][2])
    assert pair.at_client.noted == ["opened", "reset"]


def test_a_wrong_acknowledgement_in_a_handshake_is_reset(pair: Pair) -> None:
    pair.loses = lambda side, _: side == "s"
    socket = pair.open()
    pair.client.receive(TcpSegment(PATH.reversed, 1, socket.snd_nxt + 1, SYN | ACK))
    assert pair.seen[-1][2] == TcpSegment(PATH, socket.snd_nxt + 1, 0, RST)
    pair.client.receive(TcpSegment(PATH.reversed, 1, socket.snd_nxt, ACK))
    pair.client.receive(TcpSegment(PATH.reversed, 1, socket.snd_nxt + 1, RST | ACK))
    assert socket.state is TcpState.SYN_SENT
    assert pair.at_client.noted == []


def test_a_syn_sent_again_is_answered_with_the_same_number(pair: Pair) -> None:
    pair.loses = lambda side, segment: side == "c" and segment.flags == ACK
    pair.open()
    syn = pair.seen[0][2]
    pair.server.receive(syn)
    first, again = (s for _, who, s in pair.seen if who == "s")
    assert first == again
    pair.server.receive(TcpSegment(PATH, syn.sequence, 0, 0))
    assert pair.accepted.state is TcpState.SYN_RECEIVED


def test_what_does_not_come_next_is_acknowledged_and_not_taken(pair: Pair) -> None:
    socket = pair.open()
    reply = PATH.reversed
    pair.client.receive(TcpSegment(reply, socket.rcv_nxt + 9, socket.snd_nxt, ACK, b"later"))
    pair.client.receive(TcpSegment(reply, socket.rcv_nxt, socket.snd_nxt + 9, ACK, b"lies"))
    pair.client.receive(TcpSegment(reply, socket.rcv_nxt, socket.snd_nxt, SYN | ACK))
    assert [segment.flags for _, _, segment in pair.seen[-3:]] == [ACK, ACK, ACK]
    assert pair.at_client.noted == ["opened"]


def test_closing_in_the_handshake_leaves_without_a_word(pair: Pair) -> None:
    socket = pair.client.connect(PATH, pair.at_client)
    socket.close()
    socket.close()
    pair.run(5 * NS_PER_S)
    assert pair.flags("c") == [SYN, RST]
    assert pair.flags("s") == [SYN | ACK]
    assert pair.server.sockets() == ()


def test_sequence_numbers_wrap() -> None:
    assert is_after(0, (1 << 32) - 1)
    assert not is_after((1 << 32) - 1, 0)
    assert not is_after(7, 7)


def test_a_cookie_brings_a_connection_back_that_nobody_remembered(pair: Pair) -> None:
    pair.server.sends_cookies = True
    pair.loses = lambda side, segment: side == "c" and not segment.flags & SYN
    socket = pair.open()
    assert socket.state is TcpState.ESTABLISHED
    assert pair.server.sockets() == ()
    pair.loses = lambda _side, _segment: False
    socket.send(b"question")
    pair.run(NS_PER_MS)
    assert pair.at_server.noted == ["opened", "question"]
    assert pair.at_client.noted == ["opened", "answer"]
    assert pair.accepted.state is TcpState.ESTABLISHED


def test_a_cookie_is_known_to_its_sender_alone(pair: Pair) -> None:
    assert pair.server.cookie(PATH.reversed) is None
    pair.server.sends_cookies = True
    pair.loses = lambda side, segment: side == "c" and not segment.flags & SYN
    socket = pair.open()
    sent: list[TcpSegment] = []
    other = TcpStack(pair.schedule, Prng(2, "other"), sent.append)
    other.listen(80, lambda _: Notes())
    acknowledgement = TcpSegment(PATH, socket.snd_nxt, socket.rcv_nxt, ACK)
    other.receive(acknowledgement)
    assert [each.flags for each in sent] == [RST]
    # Nor does the sender take a number that is one off.
    pair.server.receive(TcpSegment(PATH, socket.snd_nxt, socket.rcv_nxt + 1, ACK))
    assert pair.flags("s") == [SYN | ACK, RST]
    assert pair.server.cookie(PATH.reversed) == (socket.rcv_nxt - socket.snd_nxt) % (1 << 32)


def test_what_vanishes_says_nothing(pair: Pair) -> None:
    socket = pair.open()
    said_count = len(pair.flags("c"))
    socket.vanish()
    pair.run(NS_PER_S)
    assert len(pair.flags("c")) == said_count
    assert pair.client.socket(PATH) is None
    assert pair.accepted.state is TcpState.ESTABLISHED
