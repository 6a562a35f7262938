# SPDX-License-Identifier: Apache-2.0
"""The checksum brought up to date is the one that scapy computes anew."""

import pytest
from scapy.layers.inet import IP

from wlbs.core.checksum import replace_in_sum

CHECKSUM_AT = 10


@pytest.mark.parametrize("client", ["0.0.0.1", "192.0.2.77", "255.255.255.255"])
def test_the_sum_of_a_header_follows_its_source(client: str) -> None:
    before, after = (bytes(IP(src=src, dst="10.0.0.1")) for src in ("192.0.2.1", client))
    header = bytearray(before[:12] + after[12:])
    replace_in_sum(header, CHECKSUM_AT, before[12:16], after[12:16])
    assert header == after


def test_a_wrong_sum_stays_wrong_by_as_much() -> None:
    header = bytearray(bytes(IP(src="192.0.2.1", dst="10.0.0.1")))
    right = int.from_bytes(header[CHECKSUM_AT : CHECKSUM_AT + 2], "big")
    header[CHECKSUM_AT + 1] ^= 1
    replace_in_sum(header, CHECKSUM_AT, b"\xc0\0", b"\xc0\1")
    wrong = int.from_bytes(header[CHECKSUM_AT : CHECKSUM_AT + 2], "big")
    assert wrong - (right - 1) in {-1, 1}


def test_a_sum_of_all_ones_stands_for_nothing_and_is_left_by_one_step() -> None:
    """The reading of RFC 1624: all ones are a sum of zero, whose complement the field holds."""
    octets = bytearray(b"\xff\xff")
    replace_in_sum(octets, 0, b"\0\0", b"\0\1")
    assert octets == b"\xff\xfe"
