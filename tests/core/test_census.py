# SPDX-License-Identifier: Apache-2.0
"""A census is a value, and a word of 64 bits has a bit for each group of a rule's buckets."""

from wlbs.core.buckets import BUCKET_COUNT
from wlbs.core.census import BUCKETS_PER_GROUP, GROUP_COUNT, Census


def test_the_groups_are_all_buckets_and_fit_a_word() -> None:
    assert GROUP_COUNT * BUCKETS_PER_GROUP == BUCKET_COUNT
    assert GROUP_COUNT == 64


def test_censuses_that_say_the_same_are_equal() -> None:
    assert Census((1, 0), 5, 1) == Census((1, 0), 5, 1) != Census((2, 0), 5, 1)
