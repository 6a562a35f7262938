# SPDX-License-Identifier: Apache-2.0
"""The history of a run: one line per event, and a digest of all of it.

Two runs of one seed have the same digest, on any machine and under any hash seed. Knows how events
and effects read in one line; nothing of what they mean.
"""

import hashlib
from dataclasses import fields
from typing import Final

from wlbs.core.address import IpAddress, Mac
from wlbs.core.census import Census
from wlbs.core.protocol.effects import Effect
from wlbs.core.protocol.events import Event
from wlbs.core.table import FilterTable
from wlbs.scenario.evidence import Direction
from wlbs.sim.schedule import NS_PER_S, Schedule

DIGEST_SIZE: Final = 16

HEADERS_SIZE: Final = 54
"""Ethernet, IPv4 and TCP without options: what a line shows of a frame."""


class Trace:
    """What has happened so far in one world."""

    def __init__(self, schedule: Schedule, *, is_kept: bool) -> None:
        """Begin empty; only a trace that is kept remembers its lines."""
        self.lines: list[str] = []
        self._schedule = schedule
        self._is_kept = is_kept
        self._hash = hashlib.blake2b(digest_size=DIGEST_SIZE)

    @property
    def digest(self) -> str:
        """Return the digest of everything so far."""
        return self._hash.hexdigest()

    def write(self, who: str, what: str) -> None:
        """Add one line."""
        line = f"{self._schedule.now / NS_PER_S:12.6f} {who} {what}"
        self._hash.update(line.encode())
        self._keep(line)

    def take(self, who: str, event: Event, effects: tuple[Effect, ...]) -> None:
        """Add an event that a member has taken, and what it asks for."""
        self.write(who, f"> {words(event)}")
        for effect in effects:
            self.write(who, f"  < {words(effect)}")

    def see(self, port: str, direction: Direction, data: bytes) -> None:
        """Add a frame at a port: to the digest always, to the lines by its first octets."""
        self._hash.update(b"%d %s %s " % (self._schedule.now, port.encode(), direction.encode()))
        self._hash.update(data)
        if self._is_kept:
            at_s = self._schedule.now / NS_PER_S
            self._keep(f"{at_s:12.6f} {port} {direction.value} {data[:HEADERS_SIZE].hex()}")

    def _keep(self, line: str) -> None:
        if self._is_kept:
            self.lines.append(line)


def words(event: Event | Effect) -> str:
    """Return an event or effect in one line."""
    parts = [
        f"{field.name}={_short(getattr(event, field.name))}"
        for field in fields(event)
        if field.name != "source"
    ]
    return " ".join([type(event).__name__, *parts])


def _short(value: object) -> str:
    match value:
        case FilterTable():
            flagged = sum(each.flagged_count for each in value.buckets)
            owned = [each.owners.count(value.own) for each in value.buckets]
            return f"(owns {owned}, {flagged} flagged)"
        case Census():
            return f"({value.foreign_count} of {value.connection_count} foreign)"
        case bytes():
            return hashlib.blake2b(value, digest_size=4).hexdigest()
        case frozenset():
            return str(sorted(value))
        case IpAddress() | Mac():
            return str(value)
        case _:
            return str(value)
