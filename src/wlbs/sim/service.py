# SPDX-License-Identifier: Apache-2.0
"""The service a simulated cluster offers: HTTP that answers with the host's name.

Real octets, so that a capture reads like one of the lab's. A request fits into one segment; the
service closes after its answer where the request says so, as nginx does. Knows both ends of this
little HTTP; nothing of who should answer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from wlbs.scenario.evidence import LogEntry
from wlbs.sim.frames import Path
from wlbs.sim.prng import Prng
from wlbs.sim.schedule import NS_PER_US, Schedule
from wlbs.sim.tcp import Socket

PORTS: Final = (80, 81)

THINK_NS_MIN: Final = 50 * NS_PER_US
THINK_NS_MAX: Final = 500 * NS_PER_US
"""How long an answer takes; nginx on a machine that is not busy needs about as much."""

ASK_ONCE: Final = b"GET / HTTP/1.1\r\nHost: cluster\r\nConnection: close\r\n\r\n"
ASK_AGAIN: Final = b"GET / HTTP/1.1\r\nHost: cluster\r\nConnection: keep-alive\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Web:
    """One host's service."""

    host: str
    schedule: Schedule
    prng: Prng
    write_log: Callable[[LogEntry], None]


@dataclass(frozen=True, slots=True)
class WebConnection:
    """The service's end of one connection."""

    web: Web
    path: Path

    def opened(self, socket: Socket) -> None:
        """Wait for a request."""

    def received(self, socket: Socket, data: bytes) -> None:
        """Answer a request after a while."""
        think_ns = self.web.prng.between(THINK_NS_MIN, THINK_NS_MAX)
        self.web.schedule.after(think_ns, lambda: self._answer(socket, data))

    def _answer(self, socket: Socket, data: bytes) -> None:
        """Answer, and log it; the service closes where the request says so."""
        if not socket.send(answer_of(self.web.host)):
            return
        entry = LogEntry(self.web.host, self.path.peer, self.path.peer_port, self.path.own_port)
        self.web.write_log(entry)
        if data == ASK_ONCE:
            socket.close()

    def peer_closed(self, socket: Socket) -> None:
        """Close as well."""
        socket.close()

    def broken(self, socket: Socket, error: str) -> None:
        """Nothing to do: the service's part is over."""


def answer_of(host: str) -> bytes:
    """Return a host's answer."""
    body = f"{host}\n".encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def host_of(answer: bytes) -> str:
    """Return the host that an answer is from."""
    return answer.split(b"\r\n\r\n", 1)[-1].decode().strip()
