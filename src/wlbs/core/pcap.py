# SPDX-License-Identifier: Apache-2.0
"""Between the bytes of a capture file and the frames in it.

Knows the classic pcap format (draft-ietf-opsawg-pcap): either byte order, micro- or nanoseconds,
link type Ethernet. Knows nothing of what the frames say or where the file is.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

FILE_HEADER_SIZE: Final = 24
RECORD_HEADER_SIZE: Final = 16
LINK_TYPE_ETHERNET: Final = 1
SNAP_SIZE: Final = 262_144
"""What tcpdump announces when it cuts nothing."""
_MAGIC_NS: Final = 0xA1B23C4D

_FORMATS: Final[dict[bytes, tuple[str, int]]] = {
    bytes.fromhex("a1b2c3d4"): (">", 1000),
    bytes.fromhex("d4c3b2a1"): ("<", 1000),
    bytes.fromhex("a1b23c4d"): (">", 1),
    bytes.fromhex("4d3cb2a1"): ("<", 1),
}
"""Magic number to byte order and the nanoseconds one unit of its fractions stands for."""


@dataclass(frozen=True, slots=True)
class CapturedFrame:
    """One frame of a capture, perhaps cut short, and when it was seen (UNIX time)."""

    at_ns: int
    data: bytes


def read_capture(data: bytes) -> tuple[CapturedFrame, ...]:
    """Return the frames of a capture; ValueError if it is none, a cut last record is left out."""
    if data[:4] not in _FORMATS or len(data) < FILE_HEADER_SIZE:
        message = "this is no pcap file"
        raise ValueError(message)
    order, unit_ns = _FORMATS[data[:4]]
    (link_type,) = struct.unpack_from(order + "I", data, 20)
    if link_type & 0xFFFF != LINK_TYPE_ETHERNET:
        message = f"link type {link_type} is not Ethernet"
        raise ValueError(message)
    frames = []
    at = FILE_HEADER_SIZE
    while at + RECORD_HEADER_SIZE <= len(data):
        seconds, fraction, size, _ = struct.unpack_from(order + "IIII", data, at)
        at += RECORD_HEADER_SIZE
        if at + size > len(data):
            break
        frames.append(
            CapturedFrame(seconds * 1_000_000_000 + fraction * unit_ns, data[at : at + size])
        )
        at += size
    return tuple(frames)


def write_capture(frames: Iterable[CapturedFrame]) -> bytes:
    """Return a capture file of whole frames, with nanoseconds, in network byte order."""
    parts = [struct.pack(">IHHiIII", _MAGIC_NS, 2, 4, 0, 0, SNAP_SIZE, LINK_TYPE_ETHERNET)]
    for frame in frames:
        seconds, fraction = divmod(frame.at_ns, 1_000_000_000)
        size = len(frame.data)
        parts += (struct.pack(">IIII", seconds, fraction, size, size), frame.data)
    return b"".join(parts)
