# SPDX-License-Identifier: Apache-2.0
"""Others read what is written: scapy's reader and tcpdump."""

import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.utils import PcapNgReader

from wlbs.core.pcapng import Direction, Record, head, packet, tail

FRAME = bytes.fromhex("ffffffffffff 020000000001 0806") + bytes(28)
AT_NS = 1_790_000_000_123_456_789


def written(path: Path, *records: Record) -> Path:
    blocks = (head("eth0", "wlbs test"), *map(packet, records), tail(AT_NS, len(records), 7))
    path.write_bytes(b"".join(blocks))
    return path


def read_by_scapy(path: Path) -> list[Any]:
    with PcapNgReader(str(path)) as reader:
        return list(reader)


def options(block: bytes, fixed_size: int) -> dict[int, bytes]:
    """Return a block's options, read as draft-ietf-opsawg-pcapng, section 3.5, has them."""
    kind, size = struct.unpack_from("<II", block)
    assert size == len(block) == struct.unpack_from("<I", block, len(block) - 4)[0]
    assert kind
    found = {}
    at = 8 + fixed_size
    while at < len(block) - 4:
        code, length = struct.unpack_from("<HH", block, at)
        found[code] = block[at + 4 : at + 4 + length]
        at += 4 + (length + 3) // 4 * 4
    assert found.pop(0) == b"", "the end of the options is marked"
    return found


def test_scapy_reads_frames_times_and_comments(tmp_path: Path) -> None:
    records = (
        Record(AT_NS, FRAME, 1500, Direction.IN, "drop", 1),
        Record(AT_NS + 1, FRAME + b"odd", 45, Direction.OUT),
    )
    first, second = read_by_scapy(written(tmp_path / "two.pcapng", *records))
    assert (bytes(first), bytes(second)) == (FRAME, FRAME + b"odd")
    assert (first.wirelen, second.wirelen) == (1500, 45)
    assert [round(each.time * 1_000_000_000) for each in (first, second)] == [AT_NS, AT_NS + 1]
    assert (first.comments, second.comments) == ([b"drop"], None)
    assert (first.sniffed_on, first.direction, second.direction) == ("eth0", 1, 2)


@pytest.mark.skipif(not shutil.which("tcpdump"), reason="tcpdump is not installed")
def test_tcpdump_reads_a_file_to_its_end(tmp_path: Path) -> None:
    path = written(tmp_path / "one.pcapng", Record(AT_NS, FRAME, len(FRAME), Direction.IN, "pass"))
    done = subprocess.run(
        ["tcpdump", "-n", "-e", "-tt", "--nano", "-r", path],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("1790000000.123456789 02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff")
    assert done.stderr.startswith("reading from file")
    assert "truncated" not in done.stderr


@given(
    data=st.binary(max_size=64),
    comment=st.text(max_size=20),
    action=st.one_of(st.none(), st.integers(0, 4)),
)
def test_a_block_says_what_went_in(data: bytes, comment: str, action: int | None) -> None:
    block = packet(Record(AT_NS, data, 99, Direction.IN, comment, action))
    said = options(block, 20 + (len(data) + 3) // 4 * 4)
    assert block[28 : 28 + len(data)] == data
    expected = {2: bytes((1, 0, 0, 0))}
    if comment:
        expected[1] = comment.encode(errors="replace")
    if action is not None:
        expected[7] = bytes((2, action)) + bytes(7)
    assert said == expected


def test_the_end_says_how_many_frames_are_missing() -> None:
    block = tail(AT_NS, 3, 7)
    assert struct.unpack_from("<II", block) == (5, len(block))
    assert options(block, 12) == {4: struct.pack("<Q", 3), 5: struct.pack("<Q", 7)}
