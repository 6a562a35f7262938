# SPDX-License-Identifier: Apache-2.0
"""Asks a segment who is capturing, and collects who says so.

Knows that whoever is silent cannot be found: a sniffer of another make says nothing, and nothing
that is said here is proved. Knows nothing of how the answer is shown.
"""

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from wlbs.core.address import Mac
from wlbs.core.announcement import Announcement, Bound, decode, source_of
from wlbs.linux.clock import now
from wlbs.linux.error import LinuxError
from wlbs.monitor.place import Place
from wlbs.monitor.source import TEND_S, open_source
from wlbs.monitor.voice import Via, Voice, open_outlet

_NS_PER_S: Final = 1_000_000_000


@dataclass(frozen=True, slots=True, order=True)
class Capturer:
    """Who says to be capturing, and from which address that came."""

    machine: str
    adapter: Mac
    user: str
    bound: Bound
    since_ns: int
    source: Mac
    """Another than the adapter where a guard masked it."""


async def identify(place: Place, bound: Bound, seconds: float) -> tuple[Capturer, ...]:
    """Ask, listen for so long, and return who was heard, this host's own monitors included.

    Bound below it also hears what the filter drops: announcements that carry the virtual MAC.
    """
    loop = asyncio.get_running_loop()
    found: set[Capturer] = set()
    with ExitStack() as undo:
        source = open_source(place, bound)
        undo.callback(source.close)
        voice = Voice(place, bound, open_outlet(place, Bound.ABOVE, Via.PACKET))
        undo.callback(voice.close)

        def on_readable() -> None:
            for each in source.read():
                said = decode(each.data)
                if isinstance(said, Announcement):
                    found.add(_capturer(said, each.data))

        for descriptor in source.descriptors():
            loop.add_reader(descriptor, on_readable)
            undo.callback(loop.remove_reader, descriptor)
        if not voice.ask():
            what = f"nothing can be sent on {place.interface}: it is down or has no carrier"
            raise LinuxError(what, f"ip link set {place.interface} up")
        until_ns = now() + round(seconds * _NS_PER_S)
        while (left_ns := until_ns - now()) > 0:
            source.tend()
            await asyncio.sleep(min(TEND_S, left_ns / _NS_PER_S))
    return tuple(sorted(found))


def _capturer(said: Announcement, frame: bytes) -> Capturer:
    return Capturer(
        said.machine, said.adapter, said.user, said.bound, said.since_ns, source_of(frame)
    )
