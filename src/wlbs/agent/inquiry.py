# SPDX-License-Identifier: Apache-2.0
"""Looks for whoever can send past the guard, a little at a time, between the member's turns.

Knows that a member must not stand still for as long as a whole search takes. Knows nothing of when
to look, nor of what follows from what is found.
"""

import asyncio
from collections.abc import Callable, Iterator

from wlbs.core.sighting import Bypasser
from wlbs.linux.bypass import find_bypassers

Tell = Callable[[tuple[Bypasser, ...]], None]
"""Takes all that were found, in order; none if there are none."""


class Inquiry:
    """One search after another on one interface, never two at a time."""

    def __init__(self, ifindex: int, tell: Tell) -> None:
        """Name the interface, one of the caller's namespace, and who is told; nothing is done."""
        self._ifindex = ifindex
        self._tell = tell
        self._search: Iterator[Bypasser | None] | None = None
        self._found: list[Bypasser] = []

    def begin(self) -> None:
        """Begin to look, unless we do already; whoever is told is told from the running loop."""
        if self._search is None:
            self._search, self._found = find_bypassers(self._ifindex), []
            self._go_on_later()

    def _go_on_later(self) -> None:
        asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        assert self._search is not None, "it ends here only"
        for each in self._search:
            if each is None:
                self._go_on_later()
                return
            self._found.append(each)
        self._search = None
        self._tell(tuple(sorted(self._found)))
