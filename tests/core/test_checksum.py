# SPDX-License-Identifier: Apache-2.0
"""A sum brought up to date is the sum computed anew, and one that was wrong stays wrong."""

import struct

import pytest

from wlbs.core.checksum import replace_in_sum


def summed(data: bytes) -> int:
    """Return the Internet checksum of an even number of octets, by RFC 1071's own definition."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total


def frame_of(covered: bytes, error: int = 0) -> bytearray:
    """Return a sum, and behind it what it covers."""
    return bytearray(struct.pack("!H", summed(covered) ^ error) + covered)


@pytest.mark.parametrize("after", [b"\x01\x02", b"\0\0\0\1", b"\xff" * 4, bytes(range(6, 12))])
@pytest.mark.parametrize("covered", [bytes(range(40)), b"\xff" * 40, b"\x7f\xff" + bytes(38)])
def test_what_was_replaced_is_in_the_sum(covered: bytes, after: bytes) -> None:
    before = covered[10 : 10 + len(after)]
    changed = covered[:10] + after + covered[10 + len(after) :]
    frame = frame_of(covered)
    replace_in_sum(frame, 0, before, after)
    assert frame[:2] == frame_of(changed)[:2]


def test_a_sum_that_was_wrong_stays_wrong() -> None:
    frame = frame_of(bytes(range(40)), error=0x0100)
    replace_in_sum(frame, 0, b"\x0a\x0b", b"\x40\x06")
    changed = bytes(range(10)) + b"\x40\x06" + bytes(range(12, 40))
    assert frame[:2] != frame_of(changed)[:2]
