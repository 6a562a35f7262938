# SPDX-License-Identifier: Apache-2.0
"""What switches held in their tables and for how long, from what was heard of them one by one.

Knows that a switch holds an address for one port at a time. Knows nothing of how a world hears of
it.
"""

from wlbs.core.address import Mac
from wlbs.scenario.evidence import BridgeEntry


class TableHistory:
    """The tables of all switches of a segment, and all that was ever in them."""

    def __init__(self) -> None:
        """Begin with empty tables."""
        self._held: dict[tuple[str, Mac], tuple[float, str]] = {}
        self._over: list[BridgeEntry] = []

    def learn(self, at_s: float, switch: str, mac: Mac, port: str) -> None:
        """Take in that a switch holds an address for a port; what it holds already is no news."""
        since = self._held.get((switch, mac))
        if since and since[1] == port:
            return
        self.forget(at_s, switch, mac)
        self._held[switch, mac] = (at_s, port)

    def forget(self, at_s: float, switch: str, mac: Mac) -> None:
        """Take in that a switch holds an address no more."""
        since = self._held.pop((switch, mac), None)
        if since:
            self._over.append(BridgeEntry(since[0], mac, since[1], switch, at_s))

    def entries(self) -> tuple[BridgeEntry, ...]:
        """Return every entry there was, in the order in which they began."""
        held = [
            BridgeEntry(at_s, mac, port, switch)
            for (switch, mac), (at_s, port) in self._held.items()
        ]
        return tuple(sorted((*self._over, *held), key=lambda each: (each.at_s, each.mac.octets)))
