# SPDX-License-Identifier: Apache-2.0
"""The journal as a file: bounded, for root's eyes, and never a reason to stop serving.

Knows files. What a line says is for `core.protocol.journal`.
"""

import os
from pathlib import Path
from typing import Final

from wlbs.core.protocol.effects import Effect
from wlbs.core.protocol.events import Event, Instant
from wlbs.core.protocol.journal import Beginning, beginning_line, effect_line, event_line

SIZE_MAX: Final = 4 << 20
"""Octets; two of them in memory (/run) are little, and hold the minutes after a start."""

_OWNER_ONLY: Final = 0o600


class Journal:
    """One agent's journal; it ends when it is full, because a replay needs its beginning."""

    def __init__(self, path: Path, beginning: Beginning) -> None:
        """Begin a new journal; the one before is kept under the same name with ``.1`` behind."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.exists():
            path.replace(path.with_name(f"{path.name}.1"))
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        self._descriptor: int | None = os.open(path, flags, _OWNER_ONLY)
        self._size = 0
        self._append(beginning_line(beginning))

    def write(self, event: Event, at: Instant, effects: tuple[Effect, ...]) -> None:
        """Write an event and what followed from it."""
        if self._descriptor is not None:
            self._append("\n".join((event_line(event, at), *map(effect_line, effects))))

    def close(self) -> None:
        """Write nothing more."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None

    def _append(self, text: str) -> None:
        assert self._descriptor is not None, "only `write` and the beginning lead here"
        data = f"{text}\n".encode()
        self._size += len(data)
        try:
            os.write(self._descriptor, data)
        except OSError:
            self._size = SIZE_MAX  # the disk is full: serving goes on without a journal
        if self._size >= SIZE_MAX:
            self.close()
