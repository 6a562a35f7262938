# SPDX-License-Identifier: Apache-2.0
"""Whether an interface has a carrier, and a descriptor that says when that may have changed.

Knows the link group of rtnetlink(7) as a bell, and asks the interface itself what rang it. Both are
of the network namespace the caller was in. Knows nothing of what follows.
"""

import fcntl
import socket
import struct
from typing import Final

_RTNLGRP_LINK: Final = 1 << 0
"""RTMGRP_LINK of <linux/rtnetlink.h>."""
_NETLINK_ROUTE: Final = 0
_SIOCGIFFLAGS: Final = 0x8913
_IFF_RUNNING: Final = 0x40
"""Operational: up, with a carrier (netdevice(7))."""
_MESSAGE_SIZE_MAX: Final = 1 << 16


class Carrier:
    """The carrier of one interface."""

    def __init__(self, interface: str) -> None:
        """Begin to listen."""
        self.interface = interface
        self.ifindex = socket.if_nametoindex(interface)
        self._request = struct.pack("16sh14x", interface.encode(), 0)
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        self._bell = socket.socket(socket.AF_NETLINK, kind, _NETLINK_ROUTE)
        self._bell.bind((0, _RTNLGRP_LINK))
        self._door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def fileno(self) -> int:
        """Return the descriptor, for an event loop."""
        return self._bell.fileno()

    def is_up(self) -> bool:
        """Whether the interface is operational; an interface that is gone is not."""
        try:
            answer = fcntl.ioctl(self._door, _SIOCGIFFLAGS, self._request)
        except OSError:
            return False
        return bool(struct.unpack_from("h", answer, 16)[0] & _IFF_RUNNING)

    def drain(self) -> None:
        """Read away what rang the bell; a full buffer says no more than that it rang."""
        while True:
            try:
                self._bell.recv(_MESSAGE_SIZE_MAX)
            except BlockingIOError:
                return
            except OSError:
                continue

    def close(self) -> None:
        """Stop listening."""
        self._bell.close()
        self._door.close()
