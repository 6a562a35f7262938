# SPDX-License-Identifier: Apache-2.0
"""Ways for a whole frame, source address included, out of an interface.

Knows the way of everybody, by the queueing discipline and the egress programs, and the one past
them, as packet(7) has it (PACKET_QDISC_BYPASS); a third way is in `xsk`. Also knows what address a
device says is its own. Knows nothing of what a frame says.
"""

import errno
import fcntl
import socket
import struct
from typing import Final, Protocol

from wlbs.core.address import MAC_SIZE, Mac
from wlbs.linux.capture import open_packet_socket
from wlbs.linux.error import LinuxError

_SOL_PACKET: Final = 263
_QDISC_BYPASS: Final = 20
_SIOCGIFHWADDR: Final = 0x8927
_ADDRESS_AT: Final = 18
"""In struct ifreq: 16 octets of name, 2 of address family."""

PASSING: Final = frozenset({errno.ENETDOWN, errno.ENOBUFS, errno.EAGAIN, errno.ENXIO})
"""The link is down or full: what is lost now is as lost as on the wire."""


class Outlet(Protocol):
    """One way out of one interface."""

    def send(self, frame: bytes) -> bool:
        """Send a frame as it is; False if the link is down or full."""

    def close(self) -> None:
        """Close it."""


class PacketOutlet:
    """A raw socket to send by: through the egress programs, or past them."""

    def __init__(self, interface: str, *, past_egress: bool) -> None:
        """Open it; LinuxError without the privilege or the interface."""
        self._socket = open_packet_socket(interface, 0)
        if past_egress:
            self._socket.setsockopt(_SOL_PACKET, _QDISC_BYPASS, 1)

    def send(self, frame: bytes) -> bool:
        """Send a frame as it is; False if the link is down or full."""
        try:
            self._socket.send(frame)
        except OSError as error:
            if error.errno not in PASSING:
                raise
            return False
        return True

    def close(self) -> None:
        """Close it."""
        self._socket.close()


def device_mac(interface: str) -> Mac:
    """Return the address that a device gives to whoever asks it, as raw senders do."""
    request = struct.pack("16s24x", interface.encode())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as door:
        try:
            answer = fcntl.ioctl(door, _SIOCGIFHWADDR, request)
        except OSError as error:
            what = f"there is no interface {interface} here"
            raise LinuxError(what, "see which there are: ip link") from error
    return Mac(answer[_ADDRESS_AT : _ADDRESS_AT + MAC_SIZE])
