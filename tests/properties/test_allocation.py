# SPDX-License-Identifier: Apache-2.0
"""Allocation: quotas exact to one bucket, little movement, and no trace of order or history."""

import hashlib
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from wlbs.core.allocation import allocate
from wlbs.core.buckets import BUCKET_COUNT, HashKey
from wlbs.core.rules import HostIndex
from wlbs.core.table import NOBODY

FIXED = settings(derandomize=True, deadline=None, max_examples=25, database=None)
KEY = HashKey(bytes(range(16)))

WEIGHTS = st.one_of(
    st.integers(2, 64).map(lambda count: {HostIndex(at): 50 for at in range(count)}),
    st.dictionaries(
        st.integers(0, 63).map(HostIndex), st.integers(0, 100), min_size=2, max_size=64
    ),
)

PRINT_DIGEST = """
import hashlib
from wlbs.core.allocation import allocate
from wlbs.core.buckets import HashKey
hosts = frozenset("abcdefgh")
order = [ord(letter) - ord("a") for letter in hosts]
weights = {host: 10 + host for host in order}
owners = allocate(HashKey(bytes(range(16))), weights, frozenset(order) - {3})
print(hashlib.sha256(owners).hexdigest())
"""


@FIXED
@given(weights=WEIGHTS, data=st.data())
def test_a_present_hosts_share_is_exact_to_one_bucket(
    weights: dict[HostIndex, int], data: st.DataObject
) -> None:
    present = data.draw(st.frozensets(st.sampled_from(sorted(weights)), min_size=1))
    owners = allocate(KEY, weights, present)
    total = sum(weights[host] for host in present)
    if total == 0:
        assert set(owners) == {NOBODY}
        return
    assert sum(owners.count(host) for host in present) == BUCKET_COUNT
    for host in present:
        due = Fraction(BUCKET_COUNT * weights[host], total)
        assert abs(owners.count(host) - due) < 1


@FIXED
@given(weights=WEIGHTS, data=st.data())
def test_when_one_host_leaves_or_returns_the_others_keep_what_they_had(
    weights: dict[HostIndex, int], data: st.DataObject
) -> None:
    """At most one bucket per host moves between the others, by rounding.

    The table has no history, so returning is leaving read backwards.
    """
    gone = data.draw(st.sampled_from(sorted(weights)))
    everybody = frozenset(weights)
    full = allocate(KEY, weights, everybody)
    without = allocate(KEY, weights, everybody - {gone})
    if set(without) == {NOBODY}:
        return
    lost = [old for old, new in zip(full, without, strict=True) if old not in (gone, new)]
    assert all(lost.count(host) <= 1 for host in everybody)


@FIXED
@given(weights=WEIGHTS, data=st.data())
def test_the_order_in_which_hosts_are_named_does_not_matter(
    weights: dict[HostIndex, int], data: st.DataObject
) -> None:
    shuffled = dict(data.draw(st.permutations(list(weights.items()))))
    everybody = frozenset(weights)
    assert allocate(KEY, weights, everybody) == allocate(KEY, shuffled, everybody)


def test_the_hash_seed_of_the_process_does_not_matter() -> None:
    digests = set()
    for seed in ("0", "1", "77"):
        environment = os.environ | {
            "PYTHONHASHSEED": seed,
            "PYTHONPATH": str(Path(__file__).parents[2] / "src"),
        }
        done = subprocess.run(
            [sys.executable, "-c", PRINT_DIGEST],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(done.stdout.strip())
    here = allocate(
        KEY,
        {HostIndex(at): 10 + at for at in range(8)},
        frozenset(map(HostIndex, (0, 1, 2, 4, 5, 6, 7))),
    )
    assert digests == {hashlib.sha256(here).hexdigest()}
