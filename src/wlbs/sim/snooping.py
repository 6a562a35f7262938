# SPDX-License-Identifier: Apache-2.0
"""What a switch that snoops knows: behind which ports groups have members (RFC 4541).

A *MAC-based* snooping switch, as most are: it forwards by the group address of the frame, whatever
is in it. (A Linux bridge goes by the destination of the IP packet instead; see
docs/design/segments.md.) It is the querier itself, so that there is no other port of a router.
Groups of 224.0.0.0/24, and addresses that are none of IPv4's groups, go everywhere. Knows ports by
name.
"""

from collections.abc import Callable
from typing import Final

from wlbs.core.address import Mac
from wlbs.sim.igmp import MEMBERSHIP_NS, QUERY_INTERVAL_NS, Kind, group_mac, query, read
from wlbs.sim.schedule import Schedule

QUERIER_MAC: Final = Mac.parse("06:00:00:00:04:01")

_GROUPS: Final = b"\x01\x00\x5e"
_ALWAYS_FLOODED: Final = _GROUPS + b"\x00\x00"
"""224.0.0.0/24 (RFC 4541, 2.1.2 (2))."""


class Snooping:
    """The members of every group, by port."""

    def __init__(self, schedule: Schedule) -> None:
        """Know of no member."""
        self._schedule = schedule
        self._heard: dict[Mac, dict[str, int]] = {}

    def begin(self, flood: Callable[[bytes], None]) -> None:
        """Ask everybody now, and again and again."""
        flood(query(QUERIER_MAC))
        self._schedule.after(QUERY_INTERVAL_NS, lambda: self.begin(flood))

    def hear(self, port: str, data: bytes) -> None:
        """Take what a node says of its groups."""
        message = read(data)
        if message is None:
            return
        ports = self._heard.setdefault(group_mac(message.group), {})
        if message.kind is Kind.REPORT:
            ports[port] = int(self._schedule.now)
        elif message.kind is Kind.LEAVE:
            # There is one node behind a port: nobody else there needs to be asked.
            ports.pop(port, None)

    def forget(self, port: str) -> None:
        """Know of no member behind a port whose carrier is gone."""
        for ports in self._heard.values():
            ports.pop(port, None)

    def members(self, destination: Mac) -> tuple[str, ...] | None:
        """Return the ports a frame to a group goes out of; None: every port."""
        octets = destination.octets
        if not octets.startswith(_GROUPS) or octets.startswith(_ALWAYS_FLOODED):
            return None
        heard = self._heard.get(destination, {})
        return tuple(port for port, at in heard.items() if self._schedule.now - at < MEMBERSHIP_NS)
