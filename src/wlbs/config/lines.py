# SPDX-License-Identifier: Apache-2.0
"""Where each key of a TOML document stands: key path to line number.

tomllib gives values without positions, and an operator needs the line. This scanner walks a
document that tomllib has *already accepted*, so it checks nothing: it only follows the structure
(TOML 1.0: tables, arrays of tables, dotted keys, inline tables, arrays, the four kinds of string).
Knows nothing of what keys mean.
"""

import re
from bisect import bisect_right
from typing import Final

KeyPath = tuple[str | int, ...]
"""The way to a value as Python would index it: ``("rule", 1, "ports")``."""

_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR: Final = re.compile(r"[^,\]}#\n]*")
_STRING: Final = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}(?!")'
    r"|'''.*?'{3,5}(?!')"
    r'|"(?:\\.|[^"\\])*"'
    r"|'[^']*'",
    re.DOTALL,
)


class Lines:
    """The line of each key of one document."""

    def __init__(self, text: str) -> None:
        """Scan a document that tomllib accepts."""
        self._lines = _Scanner(text).scan()

    def find(self, path: KeyPath) -> int:
        """Return the line of a key, or of the nearest thing around it that stands in the file."""
        for size in range(len(path), 0, -1):
            if path[:size] in self._lines:
                return self._lines[path[:size]]
        return 1


class _Scanner:
    """One pass over the text; ``_at`` is the offset of what is read next."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._newlines = [found.start() for found in re.finditer("\n", text)]
        self._lines: dict[KeyPath, int] = {}
        self._table_counts: dict[KeyPath, int] = {}

    def scan(self) -> dict[KeyPath, int]:
        """Return the line of every key, header and array element."""
        table: KeyPath = ()
        self._skip(_BLANK)
        while self._at < len(self._text):
            if self._take("[["):
                table = self._array_header()
            elif self._take("["):
                table = self._header()
            else:
                self._pair(table)
            self._skip(_BLANK)
        return self._lines

    def _array_header(self) -> KeyPath:
        line = self._line()
        array = self._resolve(self._key(), past_last=False)
        self._skip(_BLANK)
        self._take("]]")
        number = self._table_counts.get(array, 0)
        self._table_counts[array] = number + 1
        self._lines.setdefault(array, line)
        self._lines[(*array, number)] = line
        return (*array, number)

    def _header(self) -> KeyPath:
        line = self._line()
        table = self._resolve(self._key(), past_last=True)
        self._skip(_BLANK)
        self._take("]")
        for size in range(1, len(table) + 1):
            self._lines.setdefault(table[:size], line)
        self._lines[table] = line
        return table

    def _resolve(self, key: tuple[str, ...], *, past_last: bool) -> KeyPath:
        """Turn a header's key into a path: an array of tables stands for its newest element."""
        path: KeyPath = ()
        for number, part in enumerate(key, start=1):
            path = (*path, part)
            if path in self._table_counts and (past_last or number < len(key)):
                path = (*path, self._table_counts[path] - 1)
        return path

    def _pair(self, table: KeyPath) -> None:
        line = self._line()
        path = table
        for part in self._key():
            path = (*path, part)
            self._lines.setdefault(path, line)
        self._skip(_BLANK)
        self._take("=")
        self._skip(_BLANK)
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        if self._take("["):
            self._array(path)
        elif self._take("{"):
            self._inline_table(path)
        elif not self._skip(_STRING):
            self._skip(_SCALAR)

    def _array(self, path: KeyPath) -> None:
        number = 0
        self._skip(_BLANK)
        while not self._take("]"):
            self._lines[(*path, number)] = self._line()
            self._value((*path, number))
            self._separator()
            number += 1

    def _inline_table(self, path: KeyPath) -> None:
        self._skip(_BLANK)
        while not self._take("}"):
            self._pair(path)
            self._separator()

    def _separator(self) -> None:
        self._skip(_BLANK)
        self._take(",")
        self._skip(_BLANK)
        # tomllib has accepted the text, so its end inside a value is a mistake of this scanner.
        assert self._at < len(self._text), "the scanner and tomllib disagree"

    def _key(self) -> tuple[str, ...]:
        parts = [self._key_part()]
        while self._take("."):
            parts.append(self._key_part())
        return tuple(parts)

    def _key_part(self) -> str:
        self._skip(_BLANK)
        bare = self._skip(_BARE_KEY)
        quoted = "" if bare else self._skip(_STRING)
        assert bare or quoted, f"no key on line {self._line()}: the scanner and tomllib disagree"
        end = self._at
        self._skip(_BLANK)
        if not self._text.startswith(".", self._at):
            self._at = end
        return bare or _unquote(quoted)

    def _skip(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            return ""
        self._at = found.end()
        return found.group()

    def _take(self, mark: str) -> bool:
        if not self._text.startswith(mark, self._at):
            return False
        self._at += len(mark)
        return True

    def _line(self) -> int:
        return bisect_right(self._newlines, self._at) + 1


def _unquote(quoted: str) -> str:
    """Return what a quoted key says, its escapes undone."""
    if quoted.startswith("'"):
        return quoted[1:-1]
    return re.sub(r"\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", _unescape, quoted[1:-1])


def _unescape(escape: re.Match[str]) -> str:
    sign = escape.group(1)
    if len(sign) > 1:
        return chr(int(sign[1:], 16))
    return {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r"}.get(sign, sign)
