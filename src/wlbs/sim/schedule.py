# SPDX-License-Identifier: Apache-2.0
"""Virtual time: what is due when, in one order that the seed alone decides.

A heap of (instant, sequence): what is due at the same instant is done in the order in which it was
planned. Time only moves here, from one thing due to the next. Knows nothing of what is done.
"""

import heapq
from collections.abc import Callable
from typing import Final

from wlbs.core.protocol.events import Instant

NS_PER_S: Final = 1_000_000_000
NS_PER_MS: Final = 1_000_000
NS_PER_US: Final = 1_000


class Plan:
    """One thing that is due once, unless it is cancelled before."""

    __slots__ = ("_action",)

    def __init__(self, action: Callable[[], None]) -> None:
        """Plan to do this."""
        self._action: Callable[[], None] | None = action

    def cancel(self) -> None:
        """Do it no more; too late or twice is harmless."""
        self._action = None

    def carry_out(self) -> bool:
        """Do it, unless it was cancelled; tell whether it was done."""
        action, self._action = self._action, None
        if action is None:
            return False
        action()
        return True


class Schedule:
    """The clock of one world, and all that is planned in it."""

    def __init__(self) -> None:
        """Begin at instant 0 with nothing planned."""
        self.now = Instant(0)
        self.on_step: Callable[[], None] = lambda: None
        """Called after everything that was done: where a checker looks."""
        self._heap: list[tuple[int, int, Plan]] = []
        self._planned_count = 0

    def at(self, instant: int, action: Callable[[], None]) -> Plan:
        """Plan an action for an instant; one that has passed means as soon as possible."""
        plan = Plan(action)
        heapq.heappush(self._heap, (max(instant, self.now), self._planned_count, plan))
        self._planned_count += 1
        return plan

    def after(self, delay_ns: int, action: Callable[[], None]) -> Plan:
        """Plan an action for so much later."""
        return self.at(self.now + delay_ns, action)

    def run_until(self, instant: int) -> None:
        """Do all that is due up to an instant, this one included, and let time be there."""
        self.run_while(lambda: True, instant)

    def run_while(self, goes_on: Callable[[], bool], instant_max: int) -> bool:
        """Do what is due while the condition holds, up to an instant; tell whether it still does.

        Where it still does, time is at that instant: everybody waited for as long as that.
        """
        while goes_on():
            if not self._heap or self._heap[0][0] > instant_max:
                self.now = Instant(max(self.now, instant_max))
                return True
            instant, _, plan = heapq.heappop(self._heap)
            self.now = Instant(instant)
            if plan.carry_out():
                self.on_step()
        return False
