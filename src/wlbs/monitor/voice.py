# SPDX-License-Identifier: Apache-2.0
"""What a monitor says to the segment: that it captures, and the question who else does.

Knows from which address and by which way: always the device's own address, which is what makes the
way matter. Knows nothing of when; `session` and `identify` do.
"""

import getpass
import socket
from enum import StrEnum, unique

from wlbs.core.announcement import Announcement, Bound, Query, encode
from wlbs.linux.clock import calendar_ns
from wlbs.linux.outlet import Outlet, PacketOutlet
from wlbs.linux.xsk import XdpOutlet
from wlbs.monitor.place import Place


@unique
class Via(StrEnum):
    """How a monitor that is bound below sends past the guard."""

    PACKET = "packet"
    """A raw socket that bypasses the queueing discipline, and the egress programs with it."""
    AF_XDP = "af-xdp"
    """A socket of AF_XDP, which knows neither."""


def open_outlet(place: Place, bound: Bound, via: Via) -> Outlet:
    """Open the way out of a monitor that is bound there."""
    if bound is Bound.BELOW and via is Via.AF_XDP:
        return XdpOutlet(place.interface)
    return PacketOutlet(place.interface, past_egress=bound is Bound.BELOW)


class Voice:
    """One monitor's, by one way out, until `close`."""

    def __init__(self, place: Place, bound: Bound, outlet: Outlet) -> None:
        """Take the way out; it is closed with the voice."""
        self._place = place
        self._bound = bound
        self._outlet = outlet
        self._since_ns = calendar_ns()
        self._machine, self._user = socket.gethostname(), _user()

    def announce(self) -> bool:
        """Say who is capturing; False if the link is down or full."""
        adapter = self._place.mac
        said = Announcement(self._machine, self._user, adapter, self._bound, self._since_ns)
        return self._outlet.send(encode(said, adapter))

    def ask(self) -> bool:
        """Ask who is capturing; False if the link is down or full."""
        return self._outlet.send(encode(Query(), self._place.mac))

    def close(self) -> None:
        """Say nothing more."""
        self._outlet.close()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "?"  # nobody by name
