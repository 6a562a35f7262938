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
from wlbs.sim.tcp import Socket

PORTS: Final = (80, 81)

ASK_ONCE: Final = b"GET / HTTP/1.1\r\nHost: cluster\r\nConnection: close\r\n\r\n"
ASK_AGAIN: Final = b"GET / HTTP/1.1\r\nHost: cluster\r\nConnection: keep-alive\r\n\r\n"


@dataclass(frozen=True, slots=True)
class WebConnection:
    """The service's end of one connection."""

    host: str
    path: Path
    write_log: Callable[[LogEntry], None]

    def opened(self, socket: Socket) -> None:
        """Wait for a request."""

    def received(self, socket: Socket, data: bytes) -> None:
        """Answer a request and log it."""
        socket.send(answer_of(self.host))
        self.write_log(LogEntry(self.host, self.path.peer, self.path.peer_port, self.path.own_port))
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
