# SPDX-License-Identifier: Apache-2.0
"""A capture gives back the frames that went into it, whatever machine wrote it."""

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.l2 import Ether
from scapy.utils import rdpcap

from wlbs.core.pcap import CapturedFrame, read_capture, write_capture


def written(order: str, magic: int, frames: list[bytes], link_type: int = 1) -> bytes:
    data = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, link_type)
    for index, frame in enumerate(frames):
        data += struct.pack(order + "IIII", 7, index, len(frame), len(frame)) + frame
    return data


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "unit_ns"), [(0xA1B2C3D4, 1000), (0xA1B23C4D, 1)])
@given(frames=st.lists(st.binary(max_size=64), max_size=5))
def test_frames_come_back(order: str, magic: int, unit_ns: int, frames: list[bytes]) -> None:
    expected = tuple(
        CapturedFrame(7_000_000_000 + index * unit_ns, frame) for index, frame in enumerate(frames)
    )
    assert read_capture(written(order, magic, frames)) == expected


@given(cut=st.integers(1, 16 + 5))
def test_a_cut_last_record_is_left_out(cut: int) -> None:
    data = written("<", 0xA1B2C3D4, [b"whole", b"parts"])
    assert [frame.data for frame in read_capture(data[:-cut])] == [b"whole"]


@pytest.mark.parametrize("data", [b"", b"#!/bin/sh", b"\xa1\xb2\xc3\xd4"])
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="no pcap file"):
        read_capture(data)


def test_other_link_types_are_refused() -> None:
    with pytest.raises(ValueError, match="link type 276 is not Ethernet"):
        read_capture(written("<", 0xA1B2C3D4, [], link_type=276))


@given(
    frames=st.lists(
        st.tuples(st.integers(0, (1 << 32) * 1_000_000_000 - 1), st.binary(max_size=64)), max_size=5
    )
)
def test_what_is_written_is_read_back(frames: list[tuple[int, bytes]]) -> None:
    captured = tuple(CapturedFrame(at_ns, data) for at_ns, data in frames)
    assert read_capture(write_capture(captured)) == captured


def test_others_read_what_is_written(tmp_path: Path) -> None:
    """Scapy has a reader of its own."""
    frame = bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / b"payload")
    path = tmp_path / "one.pcap"
    path.write_bytes(write_capture([CapturedFrame(3_000_000_005, frame)]))
    (packet,) = rdpcap(str(path))
    assert bytes(packet) == frame
    assert round(float(packet.time) * 1_000_000_000) == 3_000_000_005
