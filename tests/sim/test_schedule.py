# SPDX-License-Identifier: Apache-2.0
"""Virtual time moves from one thing due to the next, and never back."""

from wlbs.sim.schedule import Schedule


def test_what_is_due_is_done_in_order_and_ties_in_the_order_of_planning() -> None:
    schedule, done = Schedule(), list[tuple[int, str]]()

    def note(name: str) -> None:
        done.append((schedule.now, name))

    schedule.at(20, lambda: note("c"))
    schedule.at(10, lambda: note("a"))
    schedule.at(10, lambda: note("b"))
    schedule.run_until(15)
    assert done == [(10, "a"), (10, "b")]
    assert schedule.now == 15
    schedule.at(3, lambda: note("late"))
    schedule.run_until(20)
    assert done[2:] == [(15, "late"), (20, "c")]


def test_what_is_cancelled_is_not_done_and_takes_no_step() -> None:
    schedule, steps = Schedule(), list[int]()
    schedule.on_step = lambda: steps.append(schedule.now)
    plan = schedule.after(5, lambda: None)
    schedule.after(6, lambda: None)
    plan.cancel()
    plan.cancel()
    schedule.run_until(10)
    assert steps == [6]


def test_waiting_ends_with_its_condition_or_with_its_time() -> None:
    schedule, done = Schedule(), list[int]()
    for at in (1, 2, 3):
        schedule.at(at, lambda: done.append(schedule.now))
    assert not schedule.run_while(lambda: len(done) < 2, 100)
    assert schedule.now == 2
    assert schedule.run_while(lambda: True, 100)
    assert schedule.now == 100
