# SPDX-License-Identifier: Apache-2.0
"""Every frame as it came to the filter, and what became of it: the reader's end of ``tap.h``.

Knows how the tap of a loaded filter is held open and what its records say. It closes by itself when
nobody holds it: a reader who is killed leaves nothing at work. Frames that come before the first
table is installed are not seen. Knows nothing of what is done with the frames.
"""

import os
import struct
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wlbs.core.protocol.events import Instant
from wlbs.core.reason import Reason
from wlbs.datapath.layout import LEASE_REQUEST
from wlbs.linux import libbpf
from wlbs.linux.clock import now, tick_ns
from wlbs.linux.instance import RUN_DIRECTORY
from wlbs.linux.lock import Lock
from wlbs.linux.program import program_id
from wlbs.linux.ringbuffer import RingBuffer

SNAP_SIZE: Final = 4096
"""What is copied of a frame at most; the MTU of most links is 1500, and of a large one 9000."""
TAP: Final = struct.Struct("<QQ")
"""Until which jiffy it is open, and how many frames were lost."""
TAPPED: Final = struct.Struct("<QIIIBB2x")
"""When, on which interface, how long, how much of it follows, the reason, the XDP action."""

HOLD_NS: Final = 2_000_000_000
"""How long the tap stays open without a word; its reader may be that busy, or stopped that long."""

_NUMBERS: Final = frozenset(map(int, Reason))
_FIRST: Final = bytes(4)
_ENDED: Final = Instant(0)


@dataclass(frozen=True, slots=True)
class Tapped:
    """One frame as it arrived, perhaps cut, and what became of it."""

    at_ns: int
    """Of CLOCK_MONOTONIC."""
    interface_index: int
    length: int
    data: bytes
    reason: Reason | None
    """None for a reason that this program does not know: the filter is a newer one."""
    xdp_action: int


class Tap:
    """The tap of one instance's filter, held open until `close`; one reader at a time."""

    def __init__(self, pins: Path) -> None:
        """Open it; LinuxError if nothing is pinned, or if it has a reader."""
        with ExitStack() as undo:
            self._opened = undo
            path = RUN_DIRECTORY / "locks" / f"tap-{pins.name}"
            self._tap = self._descriptor(pins / "tap")
            self._hold = self._descriptor(pins / "wlbs_tap")
            self.program_id = program_id(self._descriptor(pins / "wlbs_filter"))
            undo.callback(Lock.take(path, f"the tap of instance {pins.name}").release)
            self._ring = RingBuffer(self._descriptor(pins / "tap_ring"))
            undo.callback(self._ring.close)
            while self._ring.read():
                pass  # what an earlier reader left when it was killed
            self._lost_before = self._read_lost()
            self.hold()
            undo.callback(self._hold_until, _ENDED)
            self._opened = undo.pop_all()

    def fileno(self) -> int:
        """Return the descriptor that is readable while there are frames."""
        return self._ring.fileno()

    def hold(self) -> None:
        """Keep it open for another while: `HOLD_NS`."""
        self._hold_until(Instant(now() + HOLD_NS))

    def read(self) -> list[Tapped]:
        """Return what was seen since the last time; of much, the first."""
        return [decode(each) for each in self._ring.read()]

    def lost_count(self) -> int:
        """Return how many frames came too fast to be handed over to this reader."""
        return self._read_lost() - self._lost_before

    def close(self) -> None:
        """Close it; the filter goes on without."""
        self._opened.close()

    def _descriptor(self, path: Path) -> int:
        descriptor = libbpf.open_pinned(path)
        self._opened.callback(os.close, descriptor)
        return descriptor

    def _hold_until(self, until: Instant) -> None:
        libbpf.run(self._hold, LEASE_REQUEST.pack(until, tick_ns()))

    def _read_lost(self) -> int:
        value = libbpf.lookup(self._tap, _FIRST, TAP.size)
        assert value is not None, "a variable has its one entry"
        return int(TAP.unpack(value)[1])


def decode(record: bytes) -> Tapped:
    """Read a record of the tap."""
    at_ns, index, length, captured, number, xdp_action = TAPPED.unpack_from(record)
    reason = Reason(number) if number in _NUMBERS else None
    data = record[TAPPED.size : TAPPED.size + captured]
    return Tapped(at_ns, index, length, data, reason, xdp_action)
