# SPDX-License-Identifier: Apache-2.0
"""The lease ends when it was said to, whatever held the agent up, and leaves its marks."""

import struct
import time
from dataclasses import replace
from pathlib import Path

import pytest

from wlbs.core.address import Mac
from wlbs.core.buckets import BUCKET_COUNT
from wlbs.core.protocol.events import Instant
from wlbs.core.reason import Reason
from wlbs.core.table import Buckets, FilterTable, Mark
from wlbs.datapath.lease import Marks
from wlbs.datapath.loader import Datapath
from wlbs.linux import libbpf
from wlbs.linux.clock import now, tick_ns

MINUTE_NS = 60_000_000_000
WAIT_S = 5.0
SYN, SYN_ACK, ACK = 0x02, 0x12, 0x10


@pytest.fixture
def datapath(pins: Path, own_everything: FilterTable) -> Datapath:
    loaded = Datapath.load(pins)
    loaded.install(own_everything)
    return loaded


def after(duration_ns: int) -> Instant:
    return Instant(now() + duration_ns)


def wait_for_the_end(datapath: Datapath) -> None:
    deadline = time.monotonic() + WAIT_S
    while datapath.lease_live():
        assert time.monotonic() < deadline, "the lease goes on"


def send(datapath: Datapath, table: FilterTable, flags: int) -> None:
    """Give the filter one TCP segment for the virtual IP."""
    ip = struct.pack("!BBHHHBBHII", 0x45, 0, 40, 0, 0, 64, 6, 0, 0x0A000063, 0x0A000001)
    tcp = struct.pack("!HHIIBBHHH", 40000, 80, 1, 1, 5 << 4, flags, 1024, 0, 0)
    source = Mac.parse("02:00:00:00:00:99")
    runner = libbpf.FrameRunner(datapath.descriptor("wlbs_filter"))
    runner.run(table.vmac.octets + source.octets + b"\x08\x00" + ip + tcp)


def test_a_lease_ends_by_itself_and_by_word(datapath: Datapath) -> None:
    assert not datapath.lease_live()
    datapath.hold_lease(after(MINUTE_NS))
    assert datapath.lease_live()
    datapath.end_lease()
    assert not datapath.lease_live()
    datapath.hold_lease(after(50_000_000))
    assert datapath.lease_live()
    wait_for_the_end(datapath)


@pytest.mark.parametrize("until_ns", [0, 1, -1])
def test_an_instant_in_the_past_ends_the_lease(datapath: Datapath, until_ns: int) -> None:
    datapath.hold_lease(after(MINUTE_NS))
    datapath.hold_lease(Instant(until_ns))
    assert not datapath.lease_live()


def test_a_lease_is_out_before_its_instant(datapath: Datapath) -> None:
    for ticks in range(10, 20):
        until = after(ticks * tick_ns() + tick_ns() // 3)
        datapath.hold_lease(until)
        assert datapath.lease_live()
        wait_for_the_end(datapath)
        assert now() < until


def test_less_than_the_margin_is_no_lease(datapath: Datapath) -> None:
    datapath.hold_lease(after(2 * tick_ns()))
    assert not datapath.lease_live()


def test_only_what_opens_a_connection_leaves_a_mark(
    datapath: Datapath, own_everything: FilterTable
) -> None:
    datapath.hold_lease(after(MINUTE_NS))
    send(datapath, own_everything, ACK)
    send(datapath, own_everything, SYN_ACK)
    assert datapath.counters()[Reason.OWNER] == 2
    assert datapath.marks() == Marks(0, 0)
    send(datapath, own_everything, SYN)
    first = datapath.marks()
    assert first.last_new_flow > 0
    assert first.first_taken_flow == 0
    deadline = time.monotonic() + WAIT_S
    while datapath.marks().last_new_flow == first.last_new_flow:
        assert time.monotonic() < deadline, "the mark stands still"
        send(datapath, own_everything, SYN)
    assert datapath.marks().last_new_flow > first.last_new_flow


def test_what_is_not_kept_leaves_no_mark(datapath: Datapath, own_everything: FilterTable) -> None:
    send(datapath, own_everything, SYN)
    assert datapath.counters()[Reason.LEASE_EXPIRED] == 1
    others = replace(own_everything, buckets=(Buckets(bytes((5,)) * BUCKET_COUNT),))
    datapath.install(others)
    datapath.hold_lease(after(MINUTE_NS))
    send(datapath, others, SYN)
    assert datapath.counters()[Reason.NOT_OWNER] == 1
    assert datapath.marks() == Marks(0, 0)


def test_the_first_flow_of_a_bucket_taken_over_is_remembered_until_it_is_forgotten(
    datapath: Datapath, own_everything: FilterTable
) -> None:
    flagged = Buckets(bytes(BUCKET_COUNT), bytes((Mark.FLAGGED,)) * BUCKET_COUNT)
    datapath.install(replace(own_everything, buckets=(flagged,)))
    datapath.hold_lease(after(MINUTE_NS))
    send(datapath, own_everything, SYN)
    first = datapath.marks()
    assert first.first_taken_flow == first.last_new_flow > 0
    deadline = time.monotonic() + WAIT_S
    while datapath.marks().last_new_flow == first.last_new_flow:
        assert time.monotonic() < deadline, "the mark stands still"
        send(datapath, own_everything, SYN)
    assert datapath.marks().first_taken_flow == first.first_taken_flow
    datapath.reset_marks()
    assert datapath.marks() == Marks(0, 0)
    assert datapath.lease_live()


def test_the_boot_nonce_outlives_the_agent_and_grows_with_each_load(datapath: Datapath) -> None:
    nonce = datapath.boot_nonce()
    datapath.hold_lease(after(MINUTE_NS))
    datapath.close()
    later = Datapath.open(datapath.pins)
    assert later.boot_nonce() == nonce
    later.close()
    again = Datapath.load(datapath.pins)
    assert again.boot_nonce() > nonce
    assert not again.lease_live()
    again.close()
