# SPDX-License-Identifier: Apache-2.0
"""Other programs that keep every processor of this machine busy, for a while.

Knows processors and busy loops. Each loop ends by itself, so that no crash leaves one behind.
"""

import os
import subprocess
import sys
from typing import Final

BUSY_S_MAX: Final = 60
"""Longer than any scenario is busy; after that a loop that nobody ended has ended itself."""

_LOOP: Final = (
    "import sys, time\n"
    "end = time.monotonic() + float(sys.argv[1])\n"
    "while time.monotonic() < end:\n"
    "    sum(range(10000))\n"
)


class Burden:
    """The busy loops there are."""

    def __init__(self) -> None:
        """Begin idle."""
        self._loops: list[subprocess.Popen[bytes]] = []

    def occupy(self, *, busy: bool) -> None:
        """Start one loop for each processor this process may use, or end them all."""
        self.end()
        if busy:
            words = (sys.executable, "-c", _LOOP, str(BUSY_S_MAX))
            self._loops = [subprocess.Popen(words) for _ in os.sched_getaffinity(0)]

    def end(self) -> None:
        """End every loop at once."""
        for loop in self._loops:
            loop.kill()
            loop.wait()
        self._loops = []
