# SPDX-License-Identifier: Apache-2.0
"""Datagrams to the same port of several addresses, from one of ours (udp(7)).

Knows UDP over IPv4. Knows nothing of what is in a datagram.
"""

import socket
from typing import Final

from wlbs.core.address import IpAddress
from wlbs.linux.error import LinuxError

DATAGRAM_SIZE_MAX: Final = 256
"""More than any datagram of ours."""


class DatagramSocket:
    """A socket bound to one address and a port of the kernel's choice; never blocks."""

    def __init__(self, own: IpAddress) -> None:
        """Open it; LinuxError if the address is not this host's."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self._socket.bind((str(own), 0))
        except OSError as error:
            self._socket.close()
            what = f"cannot send from {own}: {error.strerror}"
            raise LinuxError(what, "give the interface its dedicated IP address") from error

    def fileno(self) -> int:
        """Return the descriptor, for an event loop."""
        return self._socket.fileno()

    def send(self, to: IpAddress, port: int, payload: bytes) -> bool:
        """Send a datagram; False if there is no way there now, which is for the asker to bear."""
        try:
            self._socket.sendto(payload, (str(to), port))
        except OSError:
            # No route, no carrier, no neighbour, refused by the peer's kernel: all of them say
            # that the peer does not answer, and that is what the caller wants to know.
            return False
        return True

    def receive(self) -> bytes | None:
        """Return the next datagram, or None if there is none now."""
        for _ in range(_ERRORS_MAX):
            try:
                return self._socket.recv(DATAGRAM_SIZE_MAX)
            except BlockingIOError:
                return None
            except OSError:
                continue  # the kernel's word that an earlier datagram was refused
        return None

    def close(self) -> None:
        """Close it."""
        self._socket.close()


_ERRORS_MAX: Final = 128
"""One pending error per peer that refuses; more are left for the next call."""
