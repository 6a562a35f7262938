# SPDX-License-Identifier: Apache-2.0
"""Effects are values: equal when they say the same, and not to be changed."""

import dataclasses

import pytest

from wlbs.core.protocol.effects import EndLease, HoldLease, Refuse, ReportState, State
from wlbs.core.protocol.events import Instant


def test_effects_that_say_the_same_are_equal() -> None:
    assert HoldLease(Instant(5)) == HoldLease(Instant(5)) != HoldLease(Instant(6))
    assert EndLease() == EndLease()
    assert Refuse("it is stopped") == Refuse("it is stopped")


def test_an_effect_cannot_be_changed() -> None:
    report = ReportState(State.STOPPED, State.CONVERGED, "an operator said start")
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.because = "no"  # type: ignore[misc]
