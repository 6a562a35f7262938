# SPDX-License-Identifier: Apache-2.0
"""Refusals: numbers that never change, and words for each."""

from wlbs.core.protocol.refusal import MEANING, Refusal


def test_the_numbers_are_append_only() -> None:
    """They index counts that outlive an upgrade: a new one goes to the end."""
    assert [each.name for each in Refusal] == [
        "NOT_OURS",
        "MALFORMED",
        "VERSION",
        "FOREIGN_CLUSTER",
        "FORGED",
        "REPLAYED",
        "UNKNOWN_HOST",
        "DUPLICATE_PRIORITY",
        "DIFFERENT_CONFIGURATION",
        "DEAF",
    ]
    assert list(map(int, Refusal)) == list(range(len(Refusal)))


def test_every_refusal_has_words_of_its_own() -> None:
    assert set(MEANING) == set(Refusal)
    assert len(set(MEANING.values())) == len(Refusal)
