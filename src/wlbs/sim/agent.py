# SPDX-License-Identifier: Apache-2.0
"""An agent's process in virtual time: a member, a queue of what happened, and its effects.

One process does one thing at a time: it takes an event, then carries out the effects one after
another, and each of these takes a while, drawn from the seed. It may be stopped between any two of
them, as SIGSTOP does; what arrives meanwhile waits in its socket. Knows how a process behaves;
nothing of the protocol, which is the member's, or of the host, which carries effects out.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from wlbs.core.protocol.effects import Effect
from wlbs.core.protocol.events import Event, HeartbeatReceived, Instant, TimerFired
from wlbs.core.protocol.member import Member
from wlbs.sim.prng import Prng
from wlbs.sim.schedule import NS_PER_MS, NS_PER_US, Plan, Schedule

QUEUE_SIZE_MAX: Final = 256
"""Heartbeats that wait in the socket: net.core.rmem_default, 212,992 octets, over the 832 that a
small frame costs; later ones are lost."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things take a process, in nanoseconds, least and most.

    One that slept waits for a processor (``wake_ns``); then it works until nothing is left to do.
    """

    wake_ns: tuple[int, int]
    event_ns: tuple[int, int]
    effect_ns: tuple[int, int]


CALM: Final = Pace(
    wake_ns=(100 * NS_PER_US, 2 * NS_PER_MS),
    event_ns=(20 * NS_PER_US, 200 * NS_PER_US),
    effect_ns=(5 * NS_PER_US, 50 * NS_PER_US),
)
BUSY: Final = Pace(
    wake_ns=(100 * NS_PER_US, 13 * NS_PER_MS),
    event_ns=(20 * NS_PER_US, 1 * NS_PER_MS),
    effect_ns=(5 * NS_PER_US, 1 * NS_PER_MS),
)
"""The worst timer delay measured beside six busy loops on two processors was 13 ms."""


@dataclass(frozen=True, slots=True)
class Hands:
    """What an agent needs of its host; ``carry_out`` may return what came of an effect."""

    carry_out: Callable[[Effect], Event | None]
    on_event: Callable[[Event, tuple[Effect, ...]], None]
    """Called when the member has taken an event, with the effects it asks for."""
    on_done: Callable[[Event, Instant], None]
    """Called when all effects of an event have been carried out, with when it had arrived."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """An event in the queue, and since when it has been there."""

    event: Event
    at: Instant


@dataclass(frozen=True, slots=True)
class Done:
    """A mark in the queue: the effects of this event lie before it."""

    arrived: Arrived


class Agent:
    """One agent process."""

    def __init__(self, schedule: Schedule, prng: Prng, member: Member, hands: Hands) -> None:
        """Begin to run."""
        self.member = member
        self.pace = CALM
        self.is_stalled = False
        self.is_dead = False
        self.last_ran = schedule.now
        self._schedule = schedule
        self._prng = prng
        self._hands = hands
        self._queue: deque[Arrived | Effect | Done] = deque()
        self._step: Plan | None = None
        self._timer: Plan | None = None

    @property
    def is_idle(self) -> bool:
        """Whether it has nothing to do."""
        return not self._queue

    def take(self, event: Event) -> None:
        """Put an event into its queue."""
        if self.is_dead:
            return
        if isinstance(event, HeartbeatReceived) and len(self._queue) >= QUEUE_SIZE_MAX:
            return
        self._queue.append(Arrived(event, self._schedule.now))
        self._plan_step(is_asleep=True)

    def stall(self) -> None:
        """Stop the process where it stands."""
        self.is_stalled = True
        self._cancel()

    def resume(self) -> None:
        """Let it go on where it stood."""
        self.is_stalled = False
        self._plan_step(is_asleep=True)
        self._arm()

    def kill(self) -> None:
        """End the process where it stands."""
        self.is_dead = True
        self._queue.clear()
        self._cancel()

    def _plan_step(self, *, is_asleep: bool) -> None:
        if self._step is not None or not self._queue or self.is_stalled:
            return
        delay_ns = self._prng.between(*self.pace.wake_ns) if is_asleep else 0
        match self._queue[0]:
            case Arrived():
                delay_ns += self._prng.between(*self.pace.event_ns)
            case Done():
                pass
            case _:
                delay_ns += self._prng.between(*self.pace.effect_ns)
        self._step = self._schedule.after(delay_ns, self._work)

    def _work(self) -> None:
        self._step = None
        self.last_ran = self._schedule.now
        item = self._queue.popleft()
        match item:
            case Arrived(event):
                effects = self.member.handle(event, self._schedule.now)
                self._hands.on_event(event, effects)
                self._queue.extendleft((Done(item), *reversed(effects)))
            case Done(arrived):
                self._hands.on_done(arrived.event, arrived.at)
            case _:
                came = self._hands.carry_out(item)
                if came is not None:
                    self._queue.append(Arrived(came, self._schedule.now))
        self._plan_step(is_asleep=False)
        self._arm()

    def _arm(self) -> None:
        """Have the timer fire at the deadline; what is queued goes first, as in an event loop."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self.member.deadline
        if deadline is not None and not self.is_stalled and not self._queue:
            self._timer = self._schedule.at(deadline, self._fire)

    def _fire(self) -> None:
        self._timer = None
        self.take(TimerFired())

    def _cancel(self) -> None:
        for plan in (self._step, self._timer):
            if plan is not None:
                plan.cancel()
        self._step = self._timer = None
