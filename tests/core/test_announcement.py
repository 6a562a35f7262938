# SPDX-License-Identifier: Apache-2.0
"""An announcement comes back as it was said, and nothing else is taken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wlbs.core.address import Mac
from wlbs.core.announcement import Announcement, Bound, Query, decode, encode, source_of
from wlbs.core.frame import Frame, parse

VMAC = Mac.parse("02:bf:0a:00:00:01")
MASKED = Mac.parse("02:02:0a:00:00:01")
SAID = Announcement("host2", "eva", VMAC, Bound.BELOW, 1_790_000_000_123_456_789)

QUERY = bytes.fromhex(
    "030000000001 02020a000001 000e"  # to the group, 14 octets
    "aaaa03 02776c 0001"
    "776c626d 01 02"  # wlbm, version 1, query
) + bytes(60 - 28)
ANNOUNCEMENT = bytes.fromhex(
    "030000000001 02bf0a000001 0027"  # 39 octets
    "aaaa03 02776c 0001"
    "776c626d 01 01"
    "01 02bf0a000001"  # bound below, on this adapter
    "18d75b842b4ecd15"
    "05 686f737432 03 657661"
) + bytes(60 - 53)
"""Written by hand from docs/design/monitor.md."""

printable = st.text(
    st.characters(categories=("L", "N", "P", "S")), max_size=64 // len("\U0010ffff".encode())
)
announcements = st.builds(
    Announcement,
    machine=printable,
    user=printable,
    adapter=st.builds(Mac, st.binary(min_size=6, max_size=6)),
    bound=st.sampled_from(Bound),
    since_ns=st.integers(0, (1 << 64) - 1),
)


def test_the_query_has_the_bytes_of_the_page() -> None:
    assert encode(Query(), MASKED) == QUERY
    assert decode(QUERY) == Query()


def test_the_announcement_has_the_bytes_of_the_page() -> None:
    assert encode(SAID, VMAC) == ANNOUNCEMENT
    assert decode(ANNOUNCEMENT) == SAID


@given(said=announcements, source=st.builds(Mac, st.binary(min_size=6, max_size=6)))
def test_what_was_said_comes_back(said: Announcement, source: Mac) -> None:
    frame = encode(said, source)
    assert decode(frame) == said
    assert source_of(frame) == source


def test_it_is_a_frame_of_802_3_to_a_group_that_no_filter_looks_into() -> None:
    frame = parse(ANNOUNCEMENT)
    assert isinstance(frame, Frame)
    assert frame.destination.is_group
    assert frame.ethertype < 0x0600
    assert frame.payload is None


def test_a_masked_announcement_still_tells_the_adapter() -> None:
    masked = ANNOUNCEMENT[:6] + MASKED.octets + ANNOUNCEMENT[12:]
    assert source_of(masked) == MASKED
    assert decode(masked) == SAID


@given(data=st.binary(max_size=128))
def test_any_bytes_are_read_without_an_error(data: bytes) -> None:
    decode(data)
    decode(ANNOUNCEMENT[:28] + data)
    decode(ANNOUNCEMENT[:12] + bytes((0, 14 + len(data))) + ANNOUNCEMENT[14:28] + data)


@given(at=st.integers(0, 52), bit=st.integers(0, 7))
def test_any_bit_that_is_not_content_is_told(at: int, bit: int) -> None:
    """Only source, adapter, time, names and what bound says may differ and still be read."""
    broken = bytearray(ANNOUNCEMENT)
    broken[at] ^= 1 << bit
    read = decode(bytes(broken))
    is_content = at in range(6, 12) or at >= 28
    assert read is None or is_content or (at == 13 and len(broken) >= 14 + broken[13])


@pytest.mark.parametrize(
    ("at", "value"),
    [
        pytest.param(27, 3, id="an unknown kind"),
        pytest.param(28, 2, id="bound to nothing known"),
        pytest.param(13, 13, id="no room for the header"),
        pytest.param(13, 28, id="no room for the body"),
        pytest.param(13, 29, id="no names"),
        pytest.param(13, 35, id="no name of the user"),
        pytest.param(13, 37, id="a name that is cut"),
        pytest.param(13, 47, id="longer than the frame"),
        pytest.param(43, 65, id="a name longer than any"),
        pytest.param(44, 0xFF, id="a name that is no UTF-8"),
        pytest.param(44, 0x1B, id="a name that a terminal would obey"),
    ],
)
def test_what_is_not_sound_is_none(at: int, value: int) -> None:
    broken = bytearray(ANNOUNCEMENT)
    broken[at] = value
    assert decode(bytes(broken)) is None


@pytest.mark.parametrize("size", range(28))
def test_what_is_cut_in_its_header_is_none(size: int) -> None:
    assert decode(QUERY[:size]) is None


def test_a_name_is_cut_between_characters_and_shown_without_commands() -> None:
    said = Announcement("é" * 40, "a\x1b[2Jb", VMAC, Bound.ABOVE, 0)
    read = decode(encode(said, VMAC))
    assert isinstance(read, Announcement)
    assert (read.machine, read.user) == ("é" * 32, "a?[2Jb")
    odd = Announcement("a" + "é" * 40, "", VMAC, Bound.ABOVE, 0)
    cut = decode(encode(odd, VMAC))
    assert isinstance(cut, Announcement)
    assert cut.machine == "a" + "é" * 31
