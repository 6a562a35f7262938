# SPDX-License-Identifier: Apache-2.0
"""Who owns which bucket: quotas, absence, and who answers ARP."""

from wlbs.core.address import IpAddress
from wlbs.core.allocation import allocate, resolver
from wlbs.core.buckets import BUCKET_COUNT, HashKey
from wlbs.core.rules import HostIndex
from wlbs.core.table import NOBODY

KEY = HashKey(bytes(range(16)))
ONE, TWO, THREE = HostIndex(0), HostIndex(1), HostIndex(2)
EQUAL = {ONE: 50, TWO: 50, THREE: 50}
ALL = frozenset(EQUAL)


def test_equal_weights_give_equal_shares_to_one_bucket() -> None:
    owners = allocate(KEY, EQUAL, ALL)
    assert [owners.count(host) for host in (ONE, TWO, THREE)] == [1366, 1365, 1365]


def test_shares_follow_the_weights() -> None:
    owners = allocate(KEY, {ONE: 100, TWO: 50, THREE: 0}, ALL)
    assert [owners.count(host) for host in (ONE, TWO, THREE)] == [2731, 1365, 0]


def test_when_no_host_has_weight_nobody_owns_anything() -> None:
    assert allocate(KEY, dict.fromkeys(EQUAL, 0), ALL) == bytes((NOBODY,)) * BUCKET_COUNT


def test_when_a_host_leaves_only_its_buckets_move() -> None:
    before = allocate(KEY, EQUAL, ALL)
    after = allocate(KEY, EQUAL, ALL - {TWO})
    assert TWO not in after
    assert all(new == old for old, new in zip(before, after, strict=True) if old != TWO)


def test_a_weightless_present_host_leaves_the_absent_ones_share_to_nobody() -> None:
    assert set(allocate(KEY, {ONE: 50, TWO: 0}, frozenset({TWO}))) == {NOBODY}


def test_another_key_gives_another_table() -> None:
    assert allocate(KEY, EQUAL, ALL) != allocate(HashKey(bytes(16)), EQUAL, ALL)


def test_the_resolver_is_present_and_moves_only_when_it_leaves() -> None:
    addresses = [IpAddress.from_v4(number) for number in range(64)]
    before = [resolver(KEY, address, ALL) for address in addresses]
    after = [resolver(KEY, address, ALL - {TWO}) for address in addresses]
    assert set(before) == ALL
    assert set(after) == {ONE, THREE}
    assert all(new == old for old, new in zip(before, after, strict=True) if old != TWO)
