# SPDX-License-Identifier: Apache-2.0
"""What a capturing station tells the segment, and the question that asks for it, as bytes.

Knows the whole frame: group address, 802.3 length, LLC and SNAP header, payload. Knows nothing of
when one is sent, nor past what; and nobody here trusts what one says: it is not authenticated.

The layout is ours (docs/design/monitor.md says why it is as it is). Integers are big-endian, as in
the headers before them::

    6  03:00:00:00:00:01      6 source      2 length of what follows, padding not counted
    3  AA AA 03 (LLC: SNAP)   3 OUI 02:77:6c        2 protocol 0x0001
    4  magic "wlbm"           1 version     1 kind (1 announcement, 2 query)

and in an announcement::

    1  bound (0 above, 1 below)             6 adapter      8 since, nanoseconds since 1970
    1  size of the machine's name           that many octets of UTF-8
    1  size of the user's name              that many octets of UTF-8
"""

import struct
from dataclasses import dataclass
from enum import IntEnum, StrEnum, unique
from typing import Final

from wlbs.core.address import MAC_SIZE, Mac
from wlbs.core.frame import ETHERNET_SIZE

GROUP: Final = Mac(bytes.fromhex("030000000001"))
"""Where all of them go: the functional address of NetBIOS (IEEE 802.5 and its bridges to 802.3)."""
SNAP: Final = bytes.fromhex("aaaa03")
"""Both service access points and the control field of a SNAP frame (IEEE 802, 10.3)."""
OUI: Final = bytes.fromhex("02776c")
"""Nobody's: the bit 'locally administered' is set, so that it was never assigned."""
PROTOCOL: Final = 1
MAGIC: Final = b"wlbm"
VERSION: Final = 1

NAME_SIZE_MAX: Final = 64
"""Octets of a name; HOST_NAME_MAX of <limits.h>."""
FRAME_SIZE_MIN: Final = 60
"""The least Ethernet frame, its check sequence not counted (IEEE 802.3, 4.4.2)."""

_HEAD: Final = struct.Struct(">6s6sH3s3sH4sBB")
_BODY: Final = struct.Struct(">B6sQ")


@unique
class Bound(StrEnum):
    """Where a monitor sits: its place decides what it sees and what becomes of what it sends."""

    ABOVE = "above"
    """Behind the filter and before the guard, as on Windows 2000."""
    BELOW = "below"
    """Before the filter and past the guard, as on Windows NT 4.0 (KB Q258609)."""


@unique
class _Kind(IntEnum):
    ANNOUNCEMENT = 1
    QUERY = 2


_BOUNDS: Final = tuple(Bound)


@dataclass(frozen=True, slots=True)
class Announcement:
    """Who is capturing, on which adapter, bound where, and since when (UNIX time)."""

    machine: str
    user: str
    adapter: Mac
    bound: Bound
    since_ns: int


@dataclass(frozen=True, slots=True)
class Query:
    """Asks everybody who is capturing to say so now."""


def encode(said: Announcement | Query, source: Mac) -> bytes:
    """Return the frame from this source; a name is cut to what fits and to what can be shown."""
    kind, payload = _Kind.QUERY, b""
    if isinstance(said, Announcement):
        names = (_short(said.machine), _short(said.user))
        head = _BODY.pack(_BOUNDS.index(said.bound), said.adapter.octets, said.since_ns)
        kind = _Kind.ANNOUNCEMENT
        payload = head + b"".join(bytes((len(name),)) + name for name in names)
    length = _HEAD.size - ETHERNET_SIZE + len(payload)
    frame = _HEAD.pack(
        GROUP.octets, source.octets, length, SNAP, OUI, PROTOCOL, MAGIC, VERSION, kind
    )
    return (frame + payload).ljust(FRAME_SIZE_MIN, b"\0")


def decode(frame: bytes) -> Announcement | Query | None:
    """Read a frame; None if it is neither of the two. Total over all bytes, never raises."""
    if len(frame) < _HEAD.size:
        return None
    destination, _, length, snap, oui, protocol, magic, version, kind = _HEAD.unpack_from(frame)
    named = (destination, snap, oui, protocol, magic, version)
    if named != (GROUP.octets, SNAP, OUI, PROTOCOL, MAGIC, VERSION):
        return None
    end = ETHERNET_SIZE + int(length)
    if not _HEAD.size <= end <= len(frame):
        return None
    match kind:
        case _Kind.QUERY:
            return Query()
        case _Kind.ANNOUNCEMENT:
            return _announcement(frame[_HEAD.size : end])
        case _:
            return None


def source_of(frame: bytes) -> Mac:
    """Return the source of a frame that `decode` could read: masked, if it came by a guard."""
    return Mac(frame[MAC_SIZE : 2 * MAC_SIZE])


def _announcement(payload: bytes) -> Announcement | None:
    if len(payload) < _BODY.size:
        return None
    bound, adapter, since_ns = _BODY.unpack_from(payload)
    machine, rest = _name(payload[_BODY.size :])
    user, _ = _name(rest)
    if machine is None or user is None or bound >= len(_BOUNDS):
        return None
    return Announcement(machine, user, Mac(adapter), _BOUNDS[bound], since_ns)


def _name(data: bytes) -> tuple[str | None, bytes]:
    """Return the name that these octets begin with, if it is fit to be shown, and the rest.

    What is not printable is refused: a name goes to a terminal, which would obey it.
    """
    size = data[0] if data else NAME_SIZE_MAX + 1
    octets, rest = data[1 : 1 + size], data[1 + size :]
    try:
        name = octets.decode()
    except UnicodeDecodeError:
        return None, rest
    is_sound = size <= NAME_SIZE_MAX and len(octets) == size and name.isprintable()
    return (name if is_sound else None), rest


def _short(name: str) -> bytes:
    shown = "".join(each if each.isprintable() else "?" for each in name)
    cut = shown.encode()[:NAME_SIZE_MAX]
    return cut.decode(errors="ignore").encode()
