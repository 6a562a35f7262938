# SPDX-License-Identifier: Apache-2.0
"""The undo record against a real kernel: order, idempotence, and a crash at every moment."""

from pathlib import Path

import pytest

from wlbs.core.address import IpAddress
from wlbs.linux import link, namespace, sysctl
from wlbs.linux.change import (
    AddressAdded,
    Change,
    DatapathPinned,
    LinkBroughtUp,
    PromiscuitySet,
    SysctlSet,
    UndoRecord,
    decode,
    describe,
    encode,
)
from wlbs.linux.error import LinuxError

VIP = "198.51.100.7"
SETTING = "net/ipv4/conf/lo/arp_ignore"
CHANGES: tuple[Change, ...] = (
    SysctlSet(SETTING, "0"),
    LinkBroughtUp("lo", "127.0.0.1"),
    AddressAdded("lo", VIP),
    PromiscuitySet("lo"),
)


def make(change: Change) -> None:
    match change:
        case SysctlSet(name):
            sysctl.write(name, "1")
        case LinkBroughtUp(name):
            link.set_up(name, up=True)
        case AddressAdded(name, address):
            link.add_host_address(name, IpAddress.parse(address))
        case PromiscuitySet(name):
            link.set_promiscuous(name, on=True)
        case DatapathPinned(pins):
            Path(pins).mkdir()


def observe() -> tuple[object, ...]:
    return (link.links(), link.addresses(), sysctl.read(SETTING))


def nothing_pinned(change: DatapathPinned, is_there: bool) -> None:  # noqa: FBT001 - a callback
    raise AssertionError((change, is_there))


@pytest.mark.parametrize("change", [*CHANGES, DatapathPinned("/pins", "eth0.7", 3)])
def test_a_change_survives_being_written_and_read(change: Change) -> None:
    assert decode(encode(change)) == change
    assert describe(change)


@pytest.mark.parametrize("made_count", range(len(CHANGES) + 1))
def test_a_crash_after_any_change_is_undone(
    fresh_namespace: str, tmp_path: Path, made_count: int
) -> None:
    del fresh_namespace
    before = observe()
    record = UndoRecord(tmp_path / "undo")
    for change in CHANGES[:made_count]:
        record.add(change)
        make(change)
    done = UndoRecord(tmp_path / "undo").undo(nothing_pinned)
    assert len(done) == made_count
    assert observe() == before
    assert not record.exists


@pytest.mark.parametrize("made_count", range(len(CHANGES)))
def test_a_crash_between_record_and_change_is_undone(
    fresh_namespace: str, tmp_path: Path, made_count: int
) -> None:
    del fresh_namespace
    before = observe()
    record = UndoRecord(tmp_path / "undo")
    for change in CHANGES[:made_count]:
        record.add(change)
        make(change)
    record.add(CHANGES[made_count])
    record.undo(nothing_pinned)
    assert observe() == before


def test_a_torn_last_line_is_a_change_not_made(fresh_namespace: str, tmp_path: Path) -> None:
    del fresh_namespace
    before = observe()
    record = UndoRecord(tmp_path / "undo")
    record.add(CHANGES[0])
    make(CHANGES[0])
    with (tmp_path / "undo").open("a") as file:
        file.write(encode(CHANGES[1])[:-4])
    record.undo(nothing_pinned)
    assert observe() == before


def test_undoing_goes_backwards_and_twice_does_no_harm(
    fresh_namespace: str, tmp_path: Path
) -> None:
    del fresh_namespace
    record = UndoRecord(tmp_path / "undo")
    for change in CHANGES:
        record.add(change)
        make(change)
    kept = (tmp_path / "undo").read_bytes()
    assert record.undo(nothing_pinned) == tuple(describe(each) for each in reversed(CHANGES))
    after = observe()
    (tmp_path / "undo").write_bytes(kept)
    assert record.undo(nothing_pinned) == ()
    assert observe() == after
    assert record.undo(nothing_pinned) == ()


def test_what_cannot_be_undone_keeps_the_record_but_not_the_rest(
    fresh_namespace: str, tmp_path: Path
) -> None:
    del fresh_namespace
    before = observe()
    record = UndoRecord(tmp_path / "undo")
    record.add(CHANGES[0])
    make(CHANGES[0])
    record.add(DatapathPinned(str(tmp_path), "lo", 1))

    def refuse(change: DatapathPinned, is_there: bool) -> None:  # noqa: FBT001 - a callback
        assert is_there, change
        what = "busy"
        raise LinuxError(what, "wait")

    with pytest.raises(LinuxError, match="busy"):
        record.undo(refuse)
    assert observe() == before
    assert record.exists


def test_the_record_of_another_namespace_is_refused_with_the_way_in(
    fresh_namespace: str, tmp_path: Path
) -> None:
    record = UndoRecord(tmp_path / "undo")
    record.add(CHANGES[0])
    other = f"{fresh_namespace}-2"
    namespace.create(other)
    try:
        with (
            namespace.entered(other),
            pytest.raises(LinuxError, match=f"nsenter --net=/run/netns/{fresh_namespace}"),
        ):
            record.undo(nothing_pinned)
    finally:
        namespace.remove(other)


def test_of_a_namespace_that_is_gone_only_the_pins_are_undone(
    fresh_namespace: str, tmp_path: Path
) -> None:
    record = UndoRecord(tmp_path / "undo")
    other = f"{fresh_namespace}-2"
    namespace.create(other)
    with namespace.entered(other):
        for change in CHANGES:
            record.add(change)
        record.add(DatapathPinned(str(tmp_path), "lo", 1))
    namespace.remove(other)
    called = []
    done = record.undo(lambda change, is_there: called.append((change, is_there)))
    assert called == [(DatapathPinned(str(tmp_path), "lo", 1), False)]
    assert len(done) == 1
