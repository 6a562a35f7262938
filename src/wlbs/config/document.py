# SPDX-License-Identifier: Apache-2.0
"""A document with its lines and the problems found in it so far.

One wrong key must not hide what is wrong with another, so the checks between keys look at the raw
values here, and see only those that the models accepted. Knows where values and lines are; knows
nothing of what is right or wrong.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from wlbs.config.error import Problem
from wlbs.config.lines import KeyPath, Lines

_INTEGER_MAX: Final = (1 << 63) - 1
"""TOML's integers end here; tomllib's do not, and Python refuses to write the longest of them."""

_SHOWN_SIZE_MAX: Final = 60
"""Characters; enough to recognise a value by."""


@dataclass(slots=True)
class ParsedDocument:
    """What tomllib read, and what is held against it; problems and warnings only ever grow."""

    values: Mapping[str, object]
    lines: Lines
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    unsound: set[KeyPath] = field(default_factory=set)
    """The keys that the models refused."""

    def refuse(self, path: KeyPath, wrong: str, remedy: str) -> None:
        """Hold a problem against a key."""
        self.problems.append(self._problem(path, wrong, remedy))

    def warn(self, path: KeyPath, wrong: str, remedy: str) -> None:
        """Note something that is allowed and probably not meant."""
        self.warnings.append(self._problem(path, wrong, remedy))

    def get(self, *path: str | int) -> object:
        """Return a value; None if it is missing, or if it or what is around it was refused."""
        value: object = self.values
        for size, part in enumerate(path, start=1):
            value = _child(value, part)
            if value is None or path[:size] in self.unsound:
                return None
        return value

    def text(self, *path: str | int) -> str | None:
        """Return a string, or None as `get` does."""
        value = self.get(*path)
        return value if isinstance(value, str) else None

    def number(self, *path: str | int) -> int | None:
        """Return an integer, or None as `get` does."""
        value = self.get(*path)
        return value if isinstance(value, int) else None

    def count(self, *path: str | int) -> int:
        """Return how many elements an array has, refused ones included."""
        value = self.get(*path)
        return len(value) if isinstance(value, list) else 0

    def keys(self, *path: str | int) -> tuple[str, ...]:
        """Return the keys of a table that were not refused themselves."""
        value = self.get(*path)
        names = value if isinstance(value, dict) else {}
        return tuple(name for name in names if (*path, name) not in self.unsound)

    def paths(self, array: str, key: str) -> Iterable[KeyPath]:
        """Return the path of one key in each element of an array of tables."""
        return [(array, number, key) for number in range(self.count(array))]

    def _problem(self, path: KeyPath, wrong: str, remedy: str) -> Problem:
        return Problem(self.lines.find(path), spell(path), wrong, remedy)


def spell(path: KeyPath) -> str:
    """Write a key path for people, who count from one: ``rule 2, ports``."""
    words: list[str] = []
    for part in path:
        if isinstance(part, int):
            words[-1] += f" {part + 1}"
        else:
            words.append(part if part.replace("-", "_").isidentifier() else show(part))
    return ", ".join(words) or "the file"


def show(value: object) -> str:
    """Write a value into a message: as in TOML, short, and with nothing a terminal would obey."""
    if isinstance(value, str | float) or (isinstance(value, int) and abs(value) <= _INTEGER_MAX):
        text = json.dumps(value)
        return text if len(text) <= _SHOWN_SIZE_MAX else f"{text[:_SHOWN_SIZE_MAX]}..."
    return "the value"


def _child(value: object, part: str | int) -> object:
    if isinstance(value, Mapping) and isinstance(part, str):
        return value.get(part)
    if isinstance(value, list) and isinstance(part, int) and part < len(value):
        element: object = value[part]
        return element
    return None
