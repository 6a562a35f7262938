# SPDX-License-Identifier: Apache-2.0
"""The closed list of reasons: each has an action and words, and no number is ever reused."""

import pytest

from wlbs.core.reason import ACTION, MEANING, Action, Reason


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_one_action_and_one_line_of_words(reason: Reason) -> None:
    assert isinstance(ACTION[reason], Action)
    assert MEANING[reason]
    assert "\n" not in MEANING[reason]


def test_the_numbers_have_no_gap() -> None:
    assert sorted(Reason) == list(range(len(Reason)))


def test_no_two_reasons_share_their_words() -> None:
    assert len(set(MEANING.values())) == len(MEANING)


def test_the_numbers_shared_with_the_kernel_stay_as_they_are() -> None:
    assert [Reason.NOT_CLUSTER, Reason.OWNER, Reason.NOT_OWNER, Reason.NO_TABLE] == [0, 2, 7, 28]
    assert [Reason.STOPPED, Reason.PROBE_ANSWERED, Reason.DELIVERY_PROBE] == [29, 30, 31]
    assert [Reason.RELAYED, Reason.RELAY_AWAITED] == [32, 33]
    assert [Reason.OWN, Reason.GUARD_NEIGHBOUR_MASKED] == [34, 35]


def test_what_a_host_does_while_frames_are_relayed() -> None:
    relaying = (Reason.RELAYED, Reason.RELAY_AWAITED, Reason.OWN, Reason.GUARD_NEIGHBOUR_MASKED)
    actions = (Action.RELAY, Action.DROP, Action.KEEP, Action.MASK)
    assert tuple(map(ACTION.__getitem__, relaying)) == actions
