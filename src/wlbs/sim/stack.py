# SPDX-License-Identifier: Apache-2.0
"""The TCP of one node: its sockets, its listeners, and resets for what belongs to none.

Initial sequence numbers are those of RFC 6528: a hash of the flow, and a clock. The hash is the
same at every host, as in the lab, whose hosts share a kernel: connections of a flow are told apart
by when they began, and none is taken for another by the chance of one in a thousand that
`core.claim` leaves.

Knows which socket a segment belongs to. Knows nothing of frames or addresses of its own: whoever
hands a segment in has found that it is this node's.
"""

import hashlib
from collections.abc import Callable
from typing import Final

from wlbs.sim.cookies import Cookies
from wlbs.sim.frames import ACK, RST, SYN, Path, TcpSegment
from wlbs.sim.prng import Prng
from wlbs.sim.schedule import Schedule
from wlbs.sim.tcp import Application, Outlet, Socket, refusal_of

_SECRET_MAX: Final = (1 << 32) - 1
_SPACE: Final = 1 << 32
_TICK_NS: Final = 64
"""How often a new connection's first number grows by one (``net/core/secure_seq.c``)."""


class TcpStack:
    """All connections of one node."""

    def __init__(
        self, schedule: Schedule, prng: Prng, transmit: Callable[[TcpSegment], None]
    ) -> None:
        """Send segments by ``transmit``; the generator is for the secret of cookies."""
        self._schedule = schedule
        self._outlet = Outlet(schedule, transmit, self._forget)
        self._prng = prng
        self._sockets: dict[Path, Socket] = {}
        self._services: dict[int, Callable[[Path], Application]] = {}
        self.sends_cookies = False
        """Whether each SYN is answered by a cookie, as under a flood of them."""
        self._cookies: Cookies | None = None
        """Known from the first one that was sent."""

    def listen(self, port: int, service: Callable[[Path], Application]) -> None:
        """Accept connections to a port; ``service`` makes the application of each."""
        self._services[port] = service

    def connect(self, path: Path, application: Application) -> Socket:
        """Begin to open a connection."""
        socket = self._new(path, application)
        socket.connect()
        return socket

    def receive(self, segment: TcpSegment) -> None:
        """Take a segment that was sent to this node; its path is its sender's view."""
        path = segment.path.reversed
        socket = self._sockets.get(path)
        if socket is not None:
            socket.receive(segment)
        elif segment.flags & RST:
            pass
        elif not self.listens(path.own_port):
            self._outlet.transmit(refusal_of(segment))
        elif segment.flags & (SYN | ACK) == SYN:
            self._open(segment, path)
        elif self._cookies is not None and self._cookies.are_acknowledged_by(segment):
            self._new(path, self._services[path.own_port](path)).recall(segment)
        else:
            self._outlet.transmit(refusal_of(segment))

    def listens(self, port: int) -> bool:
        """Tell whether connections to a port are accepted."""
        return port in self._services

    def cookie(self, path: Path) -> int | None:
        """Return the cookie for a client whose first number is 0, if cookies were ever sent."""
        return None if self._cookies is None else self._cookies.first_number(path)

    def socket(self, path: Path) -> Socket | None:
        """Return the socket of a connection, if there is one."""
        return self._sockets.get(path)

    def sockets(self) -> tuple[Socket, ...]:
        """Return all sockets, the oldest first."""
        return tuple(self._sockets.values())

    def _open(self, syn: TcpSegment, path: Path) -> None:
        if not self.sends_cookies:
            self._new(path, self._services[path.own_port](path)).accept(syn)
            return
        if self._cookies is None:
            self._cookies = Cookies(self._prng.between(0, _SECRET_MAX))
        self._outlet.transmit(self._cookies.answer(syn))

    def _new(self, path: Path, application: Application) -> Socket:
        assert path not in self._sockets, f"{path} is taken"
        digest = hashlib.blake2b(repr(path).encode(), digest_size=4).digest()
        isn = (int.from_bytes(digest, "big") + self._schedule.now // _TICK_NS) % _SPACE
        socket = Socket(self._outlet, path, isn, application)
        self._sockets[path] = socket
        return socket

    def _forget(self, socket: Socket) -> None:
        # A plan of the past may end a socket twice; another may have its place by then.
        if self._sockets.get(socket.path) is socket:
            del self._sockets[socket.path]
