# SPDX-License-Identifier: Apache-2.0
"""The bytes of a capture file that says of each frame what became of it.

Knows the pcapng format (draft-ietf-opsawg-pcapng) as far as one interface of link type Ethernet
needs it, with nanoseconds, little-endian. Made block by block, so that a capture can be written
while it goes on. Knows nothing of what frames say or where the file is; `pcap` is the older format.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum, StrEnum, unique
from typing import Final

LINK_TYPE_ETHERNET: Final = 1

_BYTE_ORDER_MAGIC: Final = 0x1A2B3C4D
_LENGTH_UNKNOWN: Final = (1 << 64) - 1
_NANOSECONDS: Final = 9
"""if_tsresol: the negative power of ten."""
_VERDICT_OF_XDP: Final = 2
"""epb_verdict: what follows is the return value of an eBPF XDP program."""
_LOW_32: Final = 0xFFFFFFFF


@unique
class _Block(IntEnum):
    INTERFACE = 0x00000001
    STATISTICS = 0x00000005
    PACKET = 0x00000006
    SECTION = 0x0A0D0D0A


_END: Final = 0
_COMMENT: Final = 1
"""Options of every block."""
_SECTION_APPLICATION: Final = 4
_INTERFACE_NAME: Final = 2
_INTERFACE_RESOLUTION: Final = 9
_PACKET_FLAGS: Final = 2
_PACKET_VERDICT: Final = 7
_STATISTICS_RECEIVED: Final = 4
_STATISTICS_DROPPED: Final = 5


@unique
class Direction(StrEnum):
    """Which way a frame went through the interface."""

    IN = "in"
    OUT = "out"


_DIRECTION_BITS: Final = {Direction.IN: 1, Direction.OUT: 2}


@dataclass(frozen=True, slots=True)
class Record:
    """One frame as it was seen, perhaps cut short, and what became of it (UNIX time)."""

    at_ns: int
    data: bytes
    length: int
    """How long the frame was on the wire."""
    direction: Direction
    comment: str = ""
    xdp_action: int | None = None
    """What an XDP program returned for it, if one was watched."""


def head(interface: str, application: str) -> bytes:
    """Return what a file begins with: its section, and the one interface it is of."""
    section = struct.pack("<IHHQ", _BYTE_ORDER_MAGIC, 1, 0, _LENGTH_UNKNOWN)
    section += _option(_SECTION_APPLICATION, application.encode(errors="replace"))
    described = struct.pack("<HHI", LINK_TYPE_ETHERNET, 0, 0)  # no limit to what is captured
    described += _option(_INTERFACE_NAME, interface.encode(errors="replace"))
    described += _option(_INTERFACE_RESOLUTION, bytes((_NANOSECONDS,)))
    end = _option(_END)
    return _block(_Block.SECTION, section + end) + _block(_Block.INTERFACE, described + end)


def packet(record: Record) -> bytes:
    """Return one frame's block."""
    high, low = record.at_ns >> 32, record.at_ns & _LOW_32
    body = struct.pack("<IIIII", 0, high, low, len(record.data), record.length)
    body += _padded(record.data)
    if record.comment:
        body += _option(_COMMENT, record.comment.encode(errors="replace"))
    body += _option(_PACKET_FLAGS, struct.pack("<I", _DIRECTION_BITS[record.direction]))
    if record.xdp_action is not None:
        verdict = struct.pack("<BQ", _VERDICT_OF_XDP, record.xdp_action)
        body += _option(_PACKET_VERDICT, verdict)
    return _block(_Block.PACKET, body + _option(_END))


def tail(at_ns: int, received_count: int, lost_count: int) -> bytes:
    """Return what a file ends with: how many frames came, and how many of them it lacks."""
    body = struct.pack("<III", 0, at_ns >> 32, at_ns & _LOW_32)
    body += _option(_STATISTICS_RECEIVED, struct.pack("<Q", received_count))
    body += _option(_STATISTICS_DROPPED, struct.pack("<Q", lost_count))
    return _block(_Block.STATISTICS, body + _option(_END))


def _block(kind: _Block, body: bytes) -> bytes:
    size = struct.pack("<I", 12 + len(body))
    return struct.pack("<I", kind) + size + body + size


def _option(code: int, value: bytes = b"") -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
