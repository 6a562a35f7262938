# SPDX-License-Identifier: Apache-2.0
"""Frames of one ethertype, sent and received on one interface (packet(7)).

Knows AF_PACKET. What is received has passed the ingress programs; what is sent passes the egress
guard. Knows nothing of what is in a frame behind its Ethernet header.
"""

import errno
import socket
from dataclasses import dataclass
from typing import Final

from wlbs.core.address import MAC_SIZE, Mac
from wlbs.core.frame import ETHERNET_SIZE
from wlbs.linux.error import LinuxError

FRAME_SIZE_MAX: Final = 2048
"""More than any frame of ours; what is longer arrives cut and is refused as malformed."""

_SOL_PACKET: Final = 263
_PACKET_QDISC_BYPASS: Final = 20
"""Since Linux 3.14 (commit d346a3fae3ff): straight to the driver, past every egress program."""

_PASSING: Final = frozenset({errno.ENETDOWN, errno.ENOBUFS, errno.EAGAIN, errno.ENXIO})
"""The link is down or full: what is lost now is as lost as on the wire, and said again."""


@dataclass(frozen=True, slots=True)
class Received:
    """One frame: who sent it, and what follows its Ethernet header."""

    source: Mac
    payload: bytes


class PacketSocket:
    """A raw socket bound to one interface and one ethertype; never blocks."""

    def __init__(self, interface: str, ethertype: int) -> None:
        """Open it; LinuxError without the privilege or the interface."""
        self._ethertype = ethertype.to_bytes(2, "big")
        try:
            self._socket = socket.socket(
                socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0
            )
            self._socket.bind((interface, ethertype))
        except OSError as error:
            what = f"cannot open a raw socket on {interface}: {error.strerror}"
            raise LinuxError(what, "run as root, or with CAP_NET_RAW") from error

    def fileno(self) -> int:
        """Return the descriptor, for an event loop."""
        return self._socket.fileno()

    def send(self, destination: Mac, source: Mac, payload: bytes) -> bool:
        """Send a frame of this ethertype; False if the link is down or full."""
        try:
            self._socket.send(destination.octets + source.octets + self._ethertype + payload)
        except OSError as error:
            if error.errno not in _PASSING:
                raise
            return False
        return True

    def send_past_guard(self, destination: Mac, source: Mac, payload: bytes) -> bool:
        """Send a frame that no egress program sees; False if the link is down or full."""
        self._socket.setsockopt(_SOL_PACKET, _PACKET_QDISC_BYPASS, 1)
        try:
            return self.send(destination, source, payload)
        finally:
            self._socket.setsockopt(_SOL_PACKET, _PACKET_QDISC_BYPASS, 0)

    def receive(self) -> Received | None:
        """Return the next frame that somebody else sent, or None if there is none now."""
        while True:
            try:
                data, address = self._socket.recvfrom(FRAME_SIZE_MAX)
            except OSError as error:
                if error.errno not in _PASSING:
                    raise
                return None
            if address[2] != socket.PACKET_OUTGOING and len(data) >= ETHERNET_SIZE:
                source = Mac(data[MAC_SIZE : 2 * MAC_SIZE])
                return Received(source, data[ETHERNET_SIZE:])

    def close(self) -> None:
        """Close it."""
        self._socket.close()
