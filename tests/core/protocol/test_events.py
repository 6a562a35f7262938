# SPDX-License-Identifier: Apache-2.0
"""Events are values: equal when they say the same, and told apart by their kind."""

from wlbs.core.protocol.events import Event, StartRequested, StopRequested, TimerFired
from wlbs.core.rules import HostIndex


def test_events_that_say_the_same_are_equal() -> None:
    assert TimerFired() == TimerFired()
    assert StopRequested(HostIndex(1)) == StopRequested(HostIndex(1))
    assert StopRequested(HostIndex(1)) != StopRequested(HostIndex(2))


def test_starting_a_host_is_not_stopping_it() -> None:
    started: Event = StartRequested(HostIndex(1))
    stopped: Event = StopRequested(HostIndex(1))
    assert started != stopped
