# SPDX-License-Identifier: Apache-2.0
"""The undo record against a real kernel: order, idempotence, and a crash at every moment."""

import json
import subprocess
from pathlib import Path

import pytest

from wlbs.core.address import IpAddress, Mac
from wlbs.linux import autoconf, link, namespace, station, sysctl
from wlbs.linux.change import (
    AddressAdded,
    Change,
    DatapathPinned,
    HardwareAddressHeard,
    HardwareAddressSet,
    LinkBroughtUp,
    PromiscuitySet,
    SecretAddressesMade,
    SysctlSet,
    UndoRecord,
    decode,
    describe,
    encode,
)
from wlbs.linux.error import LinuxError

VIP = "198.51.100.7"
SETTING = "net/ipv4/conf/lo/arp_ignore"
OWN = "06:00:00:00:00:01"
CHANGES: tuple[Change, ...] = (
    SysctlSet(SETTING, "0"),
    LinkBroughtUp("lo", "127.0.0.1"),
    AddressAdded("lo", VIP),
    PromiscuitySet("lo"),
    SecretAddressesMade("eth0"),
    HardwareAddressSet("eth0", OWN),
    HardwareAddressHeard("eth0", "02:01:c6:33:64:07"),
    HardwareAddressHeard("eth0", "03:bf:c6:33:64:07"),
    AddressAdded("eth0", "239.255.100.7"),
    LinkBroughtUp("eth0"),
)


@pytest.fixture
def site(fresh_namespace: str) -> str:
    """Give the namespace an Ethernet interface that is down."""
    words = f"link add eth0 address {OWN} type veth peer name far"
    subprocess.run(["ip", *words.split()], check=True)
    return fresh_namespace


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
        case SecretAddressesMade(name):
            autoconf.use_secret(name)
        case HardwareAddressSet(name):
            station.set_mac(name, Mac.parse("02:bf:c6:33:64:07"))
        case HardwareAddressHeard(name, address):
            station.hear(name, Mac.parse(address))
        case DatapathPinned(pins):
            Path(pins).mkdir()


def observe() -> tuple[object, ...]:
    words = ["bridge", "fdb", "show", "dev", "eth0"]
    heard = subprocess.run(words, check=True, capture_output=True).stdout
    settings = (sysctl.read(SETTING), sysctl.read("net/ipv6/conf/eth0/addr_gen_mode"))
    return (link.links(), link.addresses(), settings, heard)


def nothing_pinned(change: DatapathPinned, is_there: bool) -> None:  # noqa: FBT001 - a callback
    raise AssertionError((change, is_there))


@pytest.mark.parametrize("change", [*CHANGES, DatapathPinned("/pins", "eth0.7", 3)])
def test_a_change_survives_being_written_and_read(change: Change) -> None:
    assert decode(encode(change)) == change
    assert describe(change)


@pytest.mark.parametrize("made_count", range(len(CHANGES) + 1))
def test_a_crash_after_any_change_is_undone(site: str, tmp_path: Path, made_count: int) -> None:
    del site
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
    site: str, tmp_path: Path, made_count: int
) -> None:
    del site
    before = observe()
    record = UndoRecord(tmp_path / "undo")
    for change in CHANGES[:made_count]:
        record.add(change)
        make(change)
    record.add(CHANGES[made_count])
    record.undo(nothing_pinned)
    assert observe() == before


def test_a_torn_last_line_is_a_change_not_made(site: str, tmp_path: Path) -> None:
    del site
    before = observe()
    record = UndoRecord(tmp_path / "undo")
    record.add(CHANGES[0])
    make(CHANGES[0])
    with (tmp_path / "undo").open("a") as file:
        file.write(encode(CHANGES[1])[:-4])
    record.undo(nothing_pinned)
    assert observe() == before


def test_undoing_goes_backwards_and_twice_does_no_harm(site: str, tmp_path: Path) -> None:
    del site
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


def test_what_cannot_be_undone_keeps_the_record_but_not_the_rest(site: str, tmp_path: Path) -> None:
    del site
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
    site: str, tmp_path: Path
) -> None:
    record = UndoRecord(tmp_path / "undo")
    record.add(CHANGES[0])
    other = f"{site}-2"
    namespace.create(other)
    try:
        with (
            namespace.entered(other),
            pytest.raises(LinuxError, match=f"nsenter --net=/run/netns/{site}"),
        ):
            record.undo(nothing_pinned)
    finally:
        namespace.remove(other)


def test_of_a_namespace_that_is_gone_only_the_pins_are_undone(site: str, tmp_path: Path) -> None:
    record = UndoRecord(tmp_path / "undo")
    other = f"{site}-2"
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


def link_locals() -> set[str]:
    words = ["ip", "-j", "-6", "address", "show", "dev", "eth0"]
    (shown,) = json.loads(subprocess.run(words, check=True, capture_output=True).stdout)
    return {each["local"] for each in shown["addr_info"] if each["scope"] == "link"}


def test_hosts_with_one_mac_make_different_link_local_addresses(site: str, tmp_path: Path) -> None:
    """Made from the MAC, all but the first host's would be refused as duplicates."""
    del site
    for name in ("eth0", "far"):
        link.set_up(name, up=True)
    before = link_locals()
    record = UndoRecord(tmp_path / "undo")
    for change in (SecretAddressesMade("eth0"), HardwareAddressSet("eth0", OWN)):
        record.add(change)
        make(change)
    link.set_up("eth0", up=False)
    link.set_up("eth0", up=True)
    assert link_locals() & {*before, "fe80::bf:c6ff:fe33:6407"} == set()
    assert len(link_locals()) == 1
    record.undo(nothing_pinned)
    assert before == link_locals() == {"fe80::400:ff:fe00:1"}
