# SPDX-License-Identifier: Apache-2.0
"""One capture from its beginning to its end: frames in, announcements and answers out.

Owns the loop, its timers and two signals. Knows when to speak and when to stop. Knows nothing of
where the frames it hands on are shown or kept.
"""

import asyncio
import signal
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from wlbs.core.announcement import Bound, Query, decode
from wlbs.linux.clock import now
from wlbs.monitor.place import Place
from wlbs.monitor.source import TEND_S, Seen, open_source
from wlbs.monitor.voice import Via, Voice, open_outlet

ANNOUNCE_S: Final = 1.0
"""One announcement a second: the capture of the article was noticed within one."""
ANSWER_NS_MIN: Final = 100_000_000
"""From one answer to the next: who asks in a flood gets no flood back."""
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

_NS_PER_S: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Order:
    """What one capture is to be."""

    bound: Bound
    announces: bool = False
    via: Via = Via.PACKET
    count_max: int | None = None
    """After how many frames it ends by itself."""
    seconds_max: float | None = None


@dataclass(slots=True)
class Summary:
    """What one capture came to."""

    frame_count: int = 0
    lost_count: int = 0
    announcement_count: int = 0
    """Of which none left while the link was down."""
    answer_count: int = 0


OnFrames = Callable[[list[Seen]], None]


class Session:
    """One capture; use once."""

    def __init__(self, place: Place, order: Order, on_frames: OnFrames) -> None:
        """Take the order; nothing happens before `run`."""
        self._place = place
        self._order = order
        self._on_frames = on_frames
        self.summary = Summary()
        """What it has come to so far."""
        self._answered_at = now() - ANSWER_NS_MIN
        self._pending: asyncio.TimerHandle | None = None

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Capture until a signal, the count or the time ends it; what was opened is closed."""
        loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = loop.create_future()
        with ExitStack() as undo:
            self._open(undo)
            for number in SIGNALS:
                loop.add_signal_handler(number, self._end, None)
                undo.callback(loop.remove_signal_handler, number)
            for descriptor in self._source.descriptors():
                loop.add_reader(descriptor, self._or_end, self._on_readable)
                undo.callback(loop.remove_reader, descriptor)
            on_ready()
            self._every(TEND_S, self._source.tend)
            if self._order.announces:
                self._every(ANNOUNCE_S, self._announce)
            if self._order.seconds_max is not None:
                loop.call_later(self._order.seconds_max, self._end, None)
            undo.callback(self._count_lost)
            await self._ended

    def _count_lost(self) -> None:
        self.summary.lost_count = self._source.lost_count()

    def _open(self, undo: ExitStack) -> None:
        self._source = open_source(self._place, self._order.bound)
        undo.callback(self._source.close)
        # Who does not announce still answers, and always through the guard: that harms nobody.
        way = self._order.bound if self._order.announces else Bound.ABOVE
        outlet = open_outlet(self._place, way, self._order.via)
        self._voice = Voice(self._place, self._order.bound, outlet)
        undo.callback(self._voice.close)

    def _every(self, seconds: float, act: Callable[[], None]) -> None:
        self._or_end(act)
        asyncio.get_running_loop().call_later(seconds, self._every, seconds, act)

    def _announce(self) -> None:
        self.summary.announcement_count += self._voice.announce()

    def _on_readable(self) -> None:
        frames = self._source.read()
        if self._order.count_max is not None:
            frames = frames[: self._order.count_max - self.summary.frame_count]
        self.summary.frame_count += len(frames)
        self._on_frames(frames)
        for each in frames:
            # One that leaves is another program's of this host: a monitor never asks.
            if isinstance(decode(each.data), Query):
                self._answer_soon()
        if self.summary.frame_count == self._order.count_max:
            self._end(None)

    def _answer_soon(self) -> None:
        """Answer at once, or as soon after the last answer as is allowed."""
        if self._pending is None:
            delay_ns = max(0, self._answered_at + ANSWER_NS_MIN - now())
            loop = asyncio.get_running_loop()
            self._pending = loop.call_later(delay_ns / _NS_PER_S, self._or_end, self._answer)

    def _answer(self) -> None:
        self._pending = None
        self._answered_at = now()
        self.summary.answer_count += self._voice.announce()

    def _or_end(self, act: Callable[[], None]) -> None:
        """Act; what fails ends the capture with its reason."""
        if self._ended.done():
            return
        try:
            act()
        except Exception as error:  # noqa: BLE001 - raised again by who awaits the end
            self._end(error)

    def _end(self, error: Exception | None) -> None:
        if self._ended.done():
            return
        if error is None:
            self._ended.set_result(None)
        else:
            self._ended.set_exception(error)
