# SPDX-License-Identifier: Apache-2.0
"""Runs a scenario in a world: the one interpreter of steps.

Knows the order of things and keeps the moments of labelled steps. Knows no world and judges nothing
itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, assert_never

from wlbs.scenario.draw import Aim, Choice, Draws, PlannedFlow, anywhere, draw_key, draw_part
from wlbs.scenario.evidence import Moment
from wlbs.scenario.judge import figures_of, judge
from wlbs.scenario.judging.observed import Observed
from wlbs.scenario.report import Report
from wlbs.scenario.steps import (
    AwaitHolders,
    AwaitStopped,
    BeginAttempts,
    CloseConnections,
    Cut,
    Do,
    EndAttempts,
    Heal,
    LimitFlooding,
    Occupy,
    OpenConnections,
    Scenario,
    SendAgain,
    SendCookies,
    SendFlows,
    SendFrom,
    SetAgeing,
    SetCarrier,
    Step,
    StopSending,
    Vanish,
    Visit,
    Wait,
)
from wlbs.scenario.world import World

STEP_S_MAX: Final = 6.0
"""Longer than any step takes that does not say itself how long it may: for attempts enough flows
are drawn to last until they are to end. An agent that begins takes one to two seconds."""

_AWAITED: Final = (Wait, AwaitStopped, AwaitHolders, CloseConnections, SendFrom)
"""Steps that count from their end; a program that sends takes a while to begin."""


ClientStep = (
    SendFlows
    | SendAgain
    | OpenConnections
    | CloseConnections
    | Vanish
    | Visit
    | BeginAttempts
    | EndAttempts
)
"""What clients do."""

SegmentStep = Cut | Heal | SetCarrier | SendFrom | StopSending | SetAgeing | LimitFlooding
"""What happens on the segment."""


def run(
    scenario: Scenario, world: World, seed: int, on_step: Callable[[Step], None] = lambda _: None
) -> Report:
    """Carry out every step and judge what was observed; ``on_step`` hears of each step first."""
    world.begin(scenario.topology, draw_key(seed), scenario.setup)
    moments = _Interpreter(scenario, world, seed).carry_out_all(on_step)
    evidence = replace(world.finish(), moments=moments)
    observed = Observed(scenario, evidence)
    return Report(
        scenario=scenario.name,
        world=world.name,
        seed=seed,
        expectations=judge(observed),
        figures=figures_of(observed),
    )


class _Interpreter:
    """One run on its way through the script."""

    def __init__(self, scenario: Scenario, world: World, seed: int) -> None:
        """Begin with nothing drawn."""
        self._steps = scenario.steps
        self._world = world
        self._seed = seed
        self._draws = Draws(seed, scenario.topology)
        self._drawn: dict[str, tuple[PlannedFlow, ...]] = {}

    def carry_out_all(self, on_step: Callable[[Step], None]) -> tuple[Moment, ...]:
        """Carry out every step in its turn and return the moments of those with a label."""
        moments = []
        for index, step in enumerate(self._steps):
            on_step(step)
            began_s = self._world.elapsed_s()
            held = self._carry_out(index, step)
            label = getattr(step, "label", "")
            if label:
                # What is done to a host counts from its beginning, so that no gap looks shorter
                # than it was; what is waited for counts from its end.
                is_awaited = isinstance(step, _AWAITED)
                at_s = self._world.elapsed_s() if is_awaited else began_s
                moments.append(Moment(label, at_s, held))
        return tuple(moments)

    def _carry_out(self, index: int, step: Step) -> bool:
        """Carry out one step; False if what it waited for did not come."""
        world = self._world
        match step:
            case AwaitStopped():
                return world.await_stopped(step.host, step.seconds)
            case AwaitHolders():
                return world.await_holders(step.hosts, step.seconds, unflagged=step.unflagged)
            case Wait():
                drawn_s = step.drawn_s * draw_part(self._seed, f"wait {index}")
                world.wait(step.seconds + drawn_s)
            case (
                SendFlows()
                | SendAgain()
                | OpenConnections()
                | CloseConnections()
                | Vanish()
                | Visit()
                | BeginAttempts()
                | EndAttempts()
            ):
                self._have_clients(index, step)
            case (
                Cut()
                | Heal()
                | SetCarrier()
                | SendFrom()
                | StopSending()
                | SetAgeing()
                | LimitFlooding()
            ):
                self._have_happen(step)
            case Do():
                world.do(step)
            case SendCookies():
                world.send_cookies(step.host)
            case Occupy():
                world.occupy(busy=step.busy)
            case _:
                assert_never(step)
        return True

    def _have_clients(
        self,
        index: int,
        step: ClientStep,
    ) -> None:
        world = self._world
        match step:
            case SendFlows():
                self._drawn[step.batch] = self._draws.flows(step, self._aim(step.aimed_at))
                world.send(self._drawn[step.batch])
            case SendAgain():
                flows = self._drawn[step.of]
                world.send(tuple(replace(flow, batch=step.batch) for flow in flows))
            case OpenConnections():
                self._drawn[step.batch] = self._draws.flows(step, self._aim(step.aimed_at))
                world.open_connections(self._drawn[step.batch])
            case CloseConnections():
                world.close_connections(step.batch, step.host)
            case Vanish():
                world.vanish(step.batch)
            case Visit():
                world.visit(step.batch)
            case BeginAttempts():
                seconds = _seconds_until_end(step.batch, self._steps[index + 1 :])
                count, aim = round(seconds / step.interval_s), self._aim(step.aimed_at)
                flows = self._draws.attempts(step, count, aim)
                world.begin_attempts(flows, step.interval_s)
            case EndAttempts():
                world.end_attempts(step.batch)
            case _:
                assert_never(step)

    def _aim(self, host: str | None) -> Choice:
        return Aim(self._world.cluster, host) if host else anywhere

    def _have_happen(self, step: SegmentStep) -> None:
        world = self._world
        match step:
            case Cut():
                world.cut(step)
            case Heal():
                world.heal()
            case SetCarrier():
                world.set_carrier(step.host, up=step.up)
            case SendFrom():
                world.send_from(step)
            case StopSending():
                world.stop_sending(step.node)
            case SetAgeing():
                world.set_ageing(step.seconds)
            case LimitFlooding():
                world.limit_flooding(step.frames_per_s)
            case _:
                assert_never(step)


def _seconds_until_end(batch: str, steps: Sequence[Step]) -> float:
    """Return for how long the attempts of a batch may go on at most."""
    seconds = STEP_S_MAX
    for step in steps:
        match step:
            case EndAttempts() if step.batch == batch:
                break
            case Wait():
                seconds += step.seconds + step.drawn_s
            case AwaitStopped() | AwaitHolders():
                seconds += step.seconds
            case Cut() | Heal() | SetCarrier() | StopSending() | SetAgeing() | LimitFlooding():
                pass
            case SendCookies() | Occupy():
                pass
            case _:
                seconds += STEP_S_MAX
    return seconds
