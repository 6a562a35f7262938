# SPDX-License-Identifier: Apache-2.0
"""The table's shape: what does not fit is refused, and each part is found by its key."""

import dataclasses

import pytest

from wlbs.core.address import IpAddress, Mac
from wlbs.core.buckets import BucketIndex
from wlbs.core.rules import DEFAULT_RULE, HostIndex, RuleIndex
from wlbs.core.table import NEXT_SHIFT, Bucket, Buckets, FilterTable, Mark, Vip


@pytest.mark.parametrize(("owners", "marks"), [(4095, 4096), (4096, 4097)])
def test_buckets_have_one_byte_each(owners: int, marks: int) -> None:
    with pytest.raises(AssertionError):
        Buckets(bytes(owners), bytes(marks))


def test_a_bucket_is_its_owner_and_its_marks() -> None:
    both = Mark.FLAGGED | Mark.EARLIER_HOLDER
    buckets = Buckets(b"\7" * 4096, bytes((both | 63 << NEXT_SHIFT,)) + bytes(4095))
    assert buckets[BucketIndex(0)] == Bucket(HostIndex(7), both, HostIndex(63))
    assert buckets[BucketIndex(1)] == Bucket(HostIndex(7), Mark(0), HostIndex(0))


def test_flags_are_counted_whatever_else_is_marked() -> None:
    octets = (0, Mark.FLAGGED, Mark.EARLIER_HOLDER, Mark.FLAGGED | 5 << NEXT_SHIFT)
    assert Buckets(bytes(4096), bytes(octets) * 1024).flagged_count == 2048


def test_a_table_needs_buckets_for_each_rule_and_the_default(
    tables: tuple[FilterTable, ...],
) -> None:
    with pytest.raises(AssertionError, match="one set of buckets"):
        dataclasses.replace(tables[0], buckets=tables[0].buckets[:-1])


def test_a_table_has_a_bounded_number_of_virtual_ips(tables: tuple[FilterTable, ...]) -> None:
    with pytest.raises(AssertionError, match="33 virtual IPs"):
        dataclasses.replace(tables[0], vips=tables[0].vips[:1] * 33)


def test_a_virtual_ip_is_found_by_its_address(tables: tuple[FilterTable, ...]) -> None:
    found = tables[0].vip(IpAddress.parse("10.0.0.2"))
    assert isinstance(found, Vip)
    assert str(found.address) == "10.0.0.2"
    assert tables[0].vip(IpAddress.parse("10.0.0.3")) is None


def test_who_takes_part_in_relaying_is_found_by_its_index(tables: tuple[FilterTable, ...]) -> None:
    station = Mac.parse("52:00:00:00:00:12")
    table = dataclasses.replace(tables[0], station_macs=((HostIndex(1), station),))
    assert table.station_of(HostIndex(1)) == station
    assert table.station_of(HostIndex(2)) is None
    assert table.station_of(None) is None


def test_the_default_rule_has_the_last_buckets(tables: tuple[FilterTable, ...]) -> None:
    table = tables[0]
    assert table.rule_buckets(RuleIndex(1)) is table.buckets[1]
    assert table.rule_buckets(DEFAULT_RULE) is table.buckets[2]
