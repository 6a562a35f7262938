# SPDX-License-Identifier: Apache-2.0
"""Events are values: equal when they say the same, and told apart by their kind."""

import dataclasses

import pytest

from wlbs.core.address import Mac
from wlbs.core.protocol.events import (
    CarrierChanged,
    Event,
    HeartbeatReceived,
    StartRequested,
    StopRequested,
    TimerFired,
)

SOURCE = Mac.parse("52:00:00:00:00:11")


def test_events_that_say_the_same_are_equal() -> None:
    assert TimerFired() == TimerFired()
    assert HeartbeatReceived(SOURCE, b"x") == HeartbeatReceived(SOURCE, b"x")
    assert CarrierChanged(up=True) != CarrierChanged(up=False)


def test_starting_is_not_stopping() -> None:
    started: Event = StartRequested()
    stopped: Event = StopRequested()
    assert started != stopped


def test_an_event_cannot_be_changed() -> None:
    event = CarrierChanged(up=True)
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.up = False  # type: ignore[misc]
