# SPDX-License-Identifier: Apache-2.0
"""Where a monitor's frames come from: above the filter or below it.

Above is where every program of the host is: behind the filter on the way in, behind the guard on
the way out. Below, what comes in is seen by the filter's own tap, with its verdict; what goes out
is seen as above, because there is nothing further out to look from. Knows nothing of what is done
with the frames.
"""

from dataclasses import dataclass
from typing import Final, Protocol

from wlbs.core.announcement import Bound
from wlbs.core.pcapng import Direction
from wlbs.core.reason import Reason
from wlbs.datapath.tap import HOLD_NS, Tap
from wlbs.linux.capture import CaptureSocket
from wlbs.linux.clock import calendar_ns, now
from wlbs.linux.error import LinuxError
from wlbs.monitor.place import Place

FRAMES_PER_TURN: Final = 1024
"""How many are read at once: a flood must not keep the monitor from its signals."""

TEND_S: Final = HOLD_NS / 4_000_000_000
"""How often a source is tended: a quarter of what the tap stays open without a word."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One frame as the monitor saw it (UNIX time)."""

    at_ns: int
    data: bytes
    length: int
    direction: Direction
    reason: Reason | None = None
    """Why the filter did what it did; None where no filter was watched, or a newer one."""
    xdp_action: int | None = None


class Source(Protocol):
    """What a monitor reads."""

    def descriptors(self) -> tuple[int, ...]:
        """Return what is readable when there are frames."""

    def read(self) -> list[Seen]:
        """Return the frames that have come since the last time, or the first of many."""

    def tend(self) -> None:
        """Keep it going; to be called every `TEND_S`. LinuxError if that is no longer possible."""

    def lost_count(self) -> int:
        """Return how many frames came too fast."""

    def close(self) -> None:
        """End it, and leave the interface as it was."""


def open_source(place: Place, bound: Bound) -> Source:
    """Begin to capture there; bound below only where there is a filter."""
    return Below(place) if bound is Bound.BELOW else Above(place)


class Above:
    """Everything that has passed the filter, and everything that the guard lets out."""

    def __init__(self, place: Place) -> None:
        """Begin, everybody's frames included."""
        self._place = place
        self._socket = CaptureSocket(place.interface)
        self._socket.hear_everybody()

    def descriptors(self) -> tuple[int, ...]:
        """Return what is readable when there are frames."""
        return (self._socket.fileno(),)

    def read(self) -> list[Seen]:
        """Return the frames that have come since the last time, or the first of many."""
        return _drain(self._socket)

    def tend(self) -> None:
        """Notice that the interface is gone: its socket would be silent for ever."""
        _require(self._place)

    def lost_count(self) -> int:
        """Return how many frames came too fast."""
        return self._socket.lost_count()

    def close(self) -> None:
        """End it, and leave the interface as it was."""
        self._socket.close()


class Below:
    """Everything that comes to the filter, beside its verdict, and everything that leaves."""

    def __init__(self, place: Place) -> None:
        """Begin; LinuxError if another monitor is below this filter."""
        assert place.pins is not None, "there is a filter to be below of"
        self._place = place
        self._tap = Tap(place.pins)
        try:
            self._socket = CaptureSocket(place.interface, only_outgoing=True)
            self._socket.hear_everybody()
        except LinuxError:
            self._tap.close()
            raise
        self._clocks_apart_ns = calendar_ns() - now()

    def descriptors(self) -> tuple[int, ...]:
        """Return what is readable when there are frames."""
        return (self._tap.fileno(), self._socket.fileno())

    def read(self) -> list[Seen]:
        """Return the frames that have come since the last time, or the first of many."""
        arrived = [
            Seen(
                each.at_ns + self._clocks_apart_ns,
                each.data,
                each.length,
                Direction.IN,
                each.reason,
                each.xdp_action,
            )
            for each in self._tap.read()
            if each.interface_index == self._place.index
        ]
        return sorted(arrived + _drain(self._socket), key=lambda each: each.at_ns)

    def tend(self) -> None:
        """Hold the tap open; notice that the filter is no longer the one it belongs to."""
        _require(self._place)
        self._tap.hold()

    def lost_count(self) -> int:
        """Return how many frames came too fast."""
        return self._tap.lost_count() + self._socket.lost_count()

    def close(self) -> None:
        """End it, and leave the interface as it was."""
        self._socket.close()
        self._tap.close()


def _drain(opened: CaptureSocket) -> list[Seen]:
    found = []
    for _ in range(FRAMES_PER_TURN):
        captured = opened.receive()
        if captured is None:
            break
        direction = Direction.OUT if captured.is_outgoing else Direction.IN
        found.append(Seen(captured.at_ns, captured.data, len(captured.data), direction))
    return found


def _require(place: Place) -> None:
    if not place.is_there():
        what = f"{place.interface} is gone, or has another filter than when this monitor began"
        raise LinuxError(what, "begin anew")
