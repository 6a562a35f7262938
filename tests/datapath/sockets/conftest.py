# SPDX-License-Identifier: Apache-2.0
"""A host with real sockets of every state, for the tests that ask the kernel's table of sockets.

The clients are made by hand, octet by octet, so what each socket expects is known from the frames
that were exchanged with it and not from the kernel's own account of it. Where there is one (the
repair mode, meant for moving sockets between hosts) the two are compared.
"""

import contextlib
import errno
import fcntl
import functools
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Final

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from wlbs.core.address import Mac
from wlbs.core.claim import WINDOW, Connection, HalfOpen, Listener, SocketFacts, TimeWait

Pair = tuple[str, int, int, SocketFacts | None]
"""A name, a client's port and one of ours, and what socket the host has for them."""

WAIT_S: Final = 5.0
VIP, CLIENT = "10.0.0.1", "10.0.0.99"
CLIENT_MAC: Final = Mac.parse("02:00:00:00:00:99")
OWN_PORT, COOKIE_PORT, DUAL_PORT, MULTIPATH_PORT, CONNECTING_PORT, NO_PORT = 80, 81, 82, 83, 90, 99
PORTS: Final = (OWN_PORT, DUAL_PORT, MULTIPATH_PORT)
"""Listeners of IPv4, of both families, and of Multipath TCP, which Go programs open unasked."""
ISN: Final = 0xFFFFFF00
"""The clients' own first number: what they send wraps."""
CIRCLE: Final = 1 << 32

IPPROTO_MPTCP: Final = 262
"""Python has no name for it before 3.12 (include/uapi/linux/in.h)."""
SIOCOUTQ: Final = 0x5411
TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ = 19, 20, 21
RECEIVE_QUEUE, SEND_QUEUE = 1, 2
REPAIR_OFF_IN_SILENCE: Final = -1
"""include/uapi/linux/tcp.h; turned off otherwise, it sends a window probe."""


class Peer:
    """A client made by hand, at the far end of the wire."""

    def __init__(self, wire: socket.socket, station: Mac, port: int, server_port: int) -> None:
        """Say nothing yet."""
        self.port, self.server_port = port, server_port
        self.next = ISN
        self.server_isn = 0
        self._wire, self._station = wire, station

    def send(self, flags: str, acknowledged: int = 0, payload: bytes = b"") -> None:
        """Send a segment that acknowledges so much beyond the server's first number."""
        frame = (
            Ether(dst=str(self._station), src=str(CLIENT_MAC))
            / IP(src=CLIENT, dst=VIP)
            / TCP(
                sport=self.port,
                dport=self.server_port,
                flags=flags,
                seq=self.next,
                ack=(self.server_isn + acknowledged) % CIRCLE if "A" in flags else 0,
            )
            / payload
        )
        self._wire.send(bytes(frame))
        self.next = (self.next + len(payload) + len(set(flags) & {"S", "F"})) % CIRCLE

    def receive(self) -> tuple[int, int]:
        """Return the numbers of the next segment that comes back: sequence, acknowledgement."""
        while True:
            data = self._wire.recv(2048)
            if data[34:38] == struct.pack("!HH", self.server_port, self.port):
                sequence, acknowledgement = struct.unpack("!II", data[38:46])
                return sequence, acknowledgement

    def receive_until(self, acknowledgement: int) -> None:
        """Wait until so much of ours is acknowledged."""
        while self.receive()[1] != acknowledgement:
            pass

    def begin(self) -> None:
        """Send a SYN and learn the server's first number from the answer."""
        self.send("S")
        self.server_isn, acknowledgement = self.receive()
        assert acknowledgement == self.next

    def after(self, count: int) -> int:
        """Return the number so far beyond the server's first."""
        return (self.server_isn + count) % CIRCLE


class Stage:
    """A host with sockets of every state; whoever makes it closes it."""

    def __init__(self, wire: socket.socket, station: Mac) -> None:
        """Open the listeners."""
        self.wire, self.station = wire, station
        self.pairs: list[Pair] = []
        self._open = contextlib.ExitStack()
        self._port = 40000
        with self._open as undo:
            self.listeners = {
                OWN_PORT: undo.enter_context(socket.create_server((VIP, OWN_PORT))),
                COOKIE_PORT: undo.enter_context(socket.create_server((VIP, COOKIE_PORT))),
                DUAL_PORT: undo.enter_context(
                    socket.create_server(
                        ("", DUAL_PORT), family=socket.AF_INET6, dualstack_ipv6=True
                    )
                ),
                MULTIPATH_PORT: undo.enter_context(multipath_listener()),
            }
            for listener in self.listeners.values():
                listener.settimeout(WAIT_S)
            self._open = undo.pop_all()

    def close(self) -> None:
        """Close every socket."""
        self._open.close()

    def peer(self, server_port: int) -> Peer:
        """Return a new client."""
        self._port += 1
        return Peer(self.wire, self.station, self._port, server_port)

    def accepted(self, server_port: int) -> tuple[Peer, socket.socket]:
        """Return a client whose connection was accepted, and the accepted socket."""
        peer = self.peer(server_port)
        peer.begin()
        peer.send("A", 1)
        own, _ = self.listeners[server_port].accept()
        own.settimeout(WAIT_S)
        return peer, self._open.enter_context(own)

    def note(self, name: str, peer: Peer, facts: SocketFacts | None) -> None:
        """Remember what socket there is for this client."""
        self.pairs.append((name, peer.port, peer.server_port, facts))

    def keep(self, own: socket.socket) -> socket.socket:
        """Close the socket at the end."""
        return self._open.enter_context(own)


def multipath_listener() -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP)
    listener.bind((VIP, MULTIPATH_PORT))
    listener.listen()
    return listener


def unanswered(stage: Stage) -> None:
    for port in (*PORTS, COOKIE_PORT):
        stage.note("listener", stage.peer(port), Listener())
    stage.note("nothing", stage.peer(NO_PORT), None)


def half_open(stage: Stage) -> None:
    for port in PORTS:
        peer = stage.peer(port)
        peer.begin()
        stage.note("half open", peer, HalfOpen(peer.server_isn, peer.next))


def cookie(stage: Stage) -> None:
    subprocess.run(["sysctl", "-qw", "net.ipv4.tcp_syncookies=2"], check=True)  # for every SYN
    peer = stage.peer(COOKIE_PORT)
    peer.begin()
    subprocess.run(["sysctl", "-qw", "net.ipv4.tcp_syncookies=1"], check=True)
    stage.note("cookie", peer, Listener(peer.server_isn, peer.next))


def established(stage: Stage) -> None:
    for port in PORTS:
        peer, own = stage.accepted(port)
        stage.note("established", peer, connection(peer, 1, 1))
        compare(stage, own)
        peer, own = stage.accepted(port)
        own.send(bytes(1000))
        peer.send("A", 301)
        wait(functools.partial(lambda it: unacknowledged(it) == 700, own))
        stage.note("partly acknowledged", peer, connection(peer, 301, 1001))
        compare(stage, own)
        peer, own = stage.accepted(port)
        peer.send("PA", 1, bytes(500))
        assert len(own.recv(500, socket.MSG_WAITALL)) == 500
        stage.note("has received", peer, connection(peer, 1, 1))
        compare(stage, own)


def closed_by_the_client(stage: Stage) -> None:
    peer, own = stage.accepted(OWN_PORT)
    peer.send("FA", 1)
    assert own.recv(1) == b""
    stage.note("CLOSE_WAIT", peer, connection(peer, 1, 1))
    compare(stage, own)
    peer, own = stage.accepted(OWN_PORT)
    peer.send("FA", 1)
    assert own.recv(1) == b""
    own.close()
    stage.note("LAST_ACK", peer, connection(peer, 1, 2))


def closed_by_us(stage: Stage) -> None:
    peer, own = stage.accepted(OWN_PORT)
    own.shutdown(socket.SHUT_WR)
    stage.note("FIN_WAIT1", peer, connection(peer, 1, 2))
    compare(stage, own)
    peer, own = stage.accepted(OWN_PORT)
    own.shutdown(socket.SHUT_WR)
    peer.send("FA", 1)
    peer.receive_until(peer.next)
    stage.note("CLOSING", peer, connection(peer, 1, 2))
    peer, own = stage.accepted(OWN_PORT)
    own.shutdown(socket.SHUT_WR)
    peer.send("A", 2)
    wait(lambda: own.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == b"\x05")
    stage.note("FIN_WAIT2", peer, connection(peer, 2, 2))
    peer, own = stage.accepted(OWN_PORT)
    own.shutdown(socket.SHUT_WR)
    peer.send("A", 2)
    wait(lambda: own.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == b"\x05")
    own.close()
    stage.note("FIN_WAIT2, only remembered", peer, TimeWait(peer.after(2), peer.next))
    for port in PORTS:
        peer, own = stage.accepted(port)
        own.close()
        peer.send("FA", 2)
        peer.receive_until(peer.next)
        stage.note("TIME_WAIT", peer, TimeWait(peer.after(2), peer.next))


def opened_by_us(stage: Stage) -> None:
    peer = stage.peer(CONNECTING_PORT)
    own = stage.keep(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
    own.bind((VIP, CONNECTING_PORT))
    own.setblocking(False)  # noqa: FBT003 - the socket's own signature
    assert own.connect_ex((CLIENT, peer.port)) == errno.EINPROGRESS
    peer.server_isn, _ = peer.receive()
    facts = Connection(peer.server_isn, peer.after(1), 0)
    stage.note("SYN_SENT", peer, facts)


def wrapped(stage: Stage) -> None:
    """Put connections where the numbers begin again, in the mode meant for moving sockets."""
    for sent, received, written in ((5, 7, 0), (CIRCLE - 100, CIRCLE - 1, 600), (WINDOW, 0, 1)):
        peer = stage.peer(OWN_PORT)
        own = stage.keep(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        own.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
        own.bind((VIP, OWN_PORT))
        for queue, number in ((SEND_QUEUE, sent), (RECEIVE_QUEUE, received)):
            own.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, queue)
            own.setsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ, struct.pack("=I", number))
        own.connect((CLIENT, peer.port))
        own.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, REPAIR_OFF_IN_SILENCE)
        own.send(bytes(written))
        stage.note("wrapped", peer, Connection(sent, (sent + written) % CIRCLE, received))
        compare(stage, own)


MAKERS: Final[tuple[Callable[[Stage], None], ...]] = (
    unanswered,
    half_open,
    cookie,
    established,
    closed_by_the_client,
    closed_by_us,
    opened_by_us,
    wrapped,
)


def connection(peer: Peer, acknowledged: int, written: int) -> Connection:
    return Connection(peer.after(acknowledged), peer.after(written), peer.next)


def compare(stage: Stage, own: socket.socket) -> None:
    """Hold what was noted last against what the kernel says of the socket."""
    numbers = []
    own.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    for queue in (SEND_QUEUE, RECEIVE_QUEUE):
        own.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, queue)
        numbers.append(own.getsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ) % CIRCLE)
    own.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, REPAIR_OFF_IN_SILENCE)
    write_seq, rcv_nxt = numbers
    told = Connection((write_seq - unacknowledged(own)) % CIRCLE, write_seq, rcv_nxt)
    assert stage.pairs[-1][3] == told, stage.pairs[-1][0]


def unacknowledged(own: socket.socket) -> int:
    (count,) = struct.unpack("i", fcntl.ioctl(own, SIOCOUTQ, bytes(4)))
    return int(count)


def wait(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not is_so():
        assert time.monotonic() < deadline, "it never becomes so"


@pytest.fixture
def pairs(interface: tuple[int, Mac]) -> Iterator[tuple[Pair, ...]]:
    """Yield a host with every kind of socket; its clients are behind ``far``."""
    for words in (
        "link set lo up",
        "addr add 10.0.0.1/32 dev lo scope host",
        "addr add 10.0.0.11/24 dev near",
        f"neigh add {CLIENT} lladdr {CLIENT_MAC} dev near",
    ):
        subprocess.run(["ip", *words.split()], check=True)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800)) as wire:
        wire.bind(("far", 0x0800))
        wire.settimeout(WAIT_S)
        made = Stage(wire, interface[1])
        try:
            for make in MAKERS:
                make(made)
            yield tuple(made.pairs)
        finally:
            made.close()
