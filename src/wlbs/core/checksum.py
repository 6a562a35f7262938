# SPDX-License-Identifier: Apache-2.0
"""The Internet checksum, brought up to date where some octets of what it covers were replaced.

Knows the sum's arithmetic (RFC 1071). Knows nothing of headers, nor whether a sum was right before:
a wrong one stays wrong by as much.
"""

import struct
from typing import Final

WORD_MAX: Final = 0xFFFF


def replace_in_sum(frame: bytearray, at: int, before: bytes, after: bytes) -> None:
    """Update the sum at this place for octets replaced, an even number of them (RFC 1624, 3)."""
    count = len(before) // 2
    (known,) = struct.unpack_from("!H", frame, at)
    total = WORD_MAX - known
    total += sum(WORD_MAX - word for word in struct.unpack(f"!{count}H", before))
    total += sum(struct.unpack(f"!{count}H", after))
    while total > WORD_MAX:
        total = (total & WORD_MAX) + (total >> 16)
    struct.pack_into("!H", frame, at, WORD_MAX - total)
