# SPDX-License-Identifier: Apache-2.0
"""Reads what the programs remember of frames from the VMAC: the filter, the guard, the witness.

Knows the maps, and the number by which it is told that something was added. Knows nothing of what
a sighting means.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from wlbs.core.address import MAC_SIZE, Mac
from wlbs.core.protocol.events import Instant
from wlbs.core.sighting import SAP_SIZE, FrameKind, Sender, Sighting, Where
from wlbs.datapath.layout import COUNTER, SIGHTING, SIGHTING_COUNT_MAX, SIGHTING_KEY
from wlbs.linux import libbpf

MAPS: Final = {
    Where.DEPARTED: "departures",
    Where.BYPASSED: "bypasses",
    Where.ARRIVED: "arrivals",
}

_KNOWN_AT: Final = 2
"""Where, in the place of the control field, it stands how many octets of the header are known."""
_FIRST: Final = bytes(4)


class Lookout:
    """Reads the sightings again only if there are new ones."""

    def __init__(self, descriptors: Mapping[str, int]) -> None:
        """Take the data path's descriptors by name; the witness's may be missing or come later."""
        self._descriptors = descriptors
        self._read_count = 0
        self._sightings: tuple[Sighting, ...] = ()
        self._told: tuple[Sighting, ...] = ()

    def sightings(self) -> tuple[Sighting, ...]:
        """Return all, the oldest first; the very same tuple if nothing was added."""
        value = libbpf.lookup(self._descriptors["sighted"], _FIRST, COUNTER.size)
        assert value is not None, "an array has its first entry"
        (count,) = COUNTER.unpack(value)
        if count != self._read_count:
            self._read_count = count
            found = (each for where in Where for each in self._read(where))
            self._sightings = tuple(sorted(found, key=lambda each: (each.first, each.kind)))
        return self._sightings

    def news(self) -> tuple[Sighting, ...]:
        """Return those that are new or have grown since this was last asked."""
        told, self._told = self._told, self.sightings()
        if told is self._told:
            return ()
        known = frozenset(told)
        return tuple(each for each in self._told if each not in known)

    def _read(self, where: Where) -> Iterator[Sighting]:
        descriptor = self._descriptors.get(MAPS[where])
        if descriptor is not None:
            sizes = (SIGHTING_KEY.size, SIGHTING.size)
            for key, value in libbpf.entries(descriptor, sizes, SIGHTING_COUNT_MAX):
                yield decode(where, key, value)


def decode(where: Where, key: bytes, value: bytes) -> Sighting:
    """Return one entry of a map of sightings."""
    _, destination, llc, ethertype = SIGHTING_KEY.unpack(key)
    count, first, last, socket, process, comm = SIGHTING.unpack(value)
    name = comm.partition(b"\0")[0].decode("utf-8", "replace")
    sender = Sender(name if process else None, process or None, socket or None)
    return Sighting(
        where,
        FrameKind(ethertype, _known(llc)),
        Mac(destination.to_bytes(8, "little")[:MAC_SIZE]),
        count,
        Instant(first),
        Instant(last),
        sender if process or socket else None,
    )


def _known(llc: bytes) -> bytes:
    known = llc[_KNOWN_AT]
    if known <= SAP_SIZE:
        return llc[:known]
    return llc[:SAP_SIZE] + llc[_KNOWN_AT + 1 : known]
