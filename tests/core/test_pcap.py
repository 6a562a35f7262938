# SPDX-License-Identifier: Apache-2.0
"""A capture gives back the frames that went into it, whatever machine wrote it."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wlbs.core.pcap import CapturedFrame, read_capture


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
