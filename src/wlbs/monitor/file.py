# SPDX-License-Identifier: Apache-2.0
"""A capture in a file that others read, with the verdict beside each frame.

Knows what of a frame goes where in pcapng. Knows nothing of where the file is, nor how long it is
going to be: what is whole at any moment can be read.
"""

from typing import BinaryIO

from wlbs import __version__
from wlbs.core.pcapng import Record, head, packet, tail
from wlbs.core.reason import ACTION, MEANING
from wlbs.linux.clock import calendar_ns
from wlbs.monitor.session import Summary
from wlbs.monitor.source import Seen


class CaptureFile:
    """One file, from its head to its tail."""

    def __init__(self, sink: BinaryIO, interface: str) -> None:
        """Write the head."""
        self._sink = sink
        self._write(head(interface, f"wlbs {__version__}"))

    def add(self, frames: list[Seen]) -> None:
        """Write frames."""
        self._write(b"".join(packet(_record(each)) for each in frames))

    def finish(self, summary: Summary) -> None:
        """Write how many frames there were, and how many are missing."""
        seen_count = summary.frame_count + summary.lost_count
        self._write(tail(calendar_ns(), seen_count, summary.lost_count))

    def _write(self, data: bytes) -> None:
        self._sink.write(data)
        self._sink.flush()


def verdict(seen: Seen) -> str:
    """Say what became of a frame and why, in one line; empty where no filter was watched."""
    if seen.reason is None:
        return "" if seen.xdp_action is None else "a reason that this program does not know"
    action = ACTION[seen.reason].name.lower()
    return f"{action} {seen.reason.name}: {MEANING[seen.reason]}"


def _record(seen: Seen) -> Record:
    return Record(
        seen.at_ns, seen.data, seen.length, seen.direction, verdict(seen), seen.xdp_action
    )
