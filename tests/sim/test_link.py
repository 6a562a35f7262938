# SPDX-License-Identifier: Apache-2.0
"""Links delay, lose and duplicate, keep the order, and carry nothing without carrier."""

from wlbs.sim.link import Link, Quality, Wire
from wlbs.sim.prng import MILLION, Prng
from wlbs.sim.schedule import Schedule


def wire(schedule: Schedule, quality: Quality) -> tuple[Wire, list[tuple[int, bytes]]]:
    """Return a wire, and what arrives at its end."""
    arrived: list[tuple[int, bytes]] = []
    return Wire(
        schedule, Prng(1, "wire"), quality, lambda data: arrived.append((schedule.now, data))
    ), arrived


def test_frames_arrive_in_order_within_the_delay() -> None:
    schedule = Schedule()
    line, arrived = wire(schedule, Quality(100, 900))
    sent = [bytes((number,)) for number in range(50)]
    for number, data in enumerate(sent):
        schedule.at(number, lambda data=data: line.carry(data))  # type: ignore[misc]
    schedule.run_until(10_000)
    assert [data for _, data in arrived] == sent
    assert all(number + 100 <= at <= number + 949 for number, (at, _) in enumerate(arrived))
    assert len({at for at, _ in arrived}) > 5


def test_some_are_lost_and_some_come_twice() -> None:
    schedule = Schedule()
    losing, few = wire(schedule, Quality(lost_per_million=MILLION // 4))
    doubling, many = wire(schedule, Quality(doubled_per_million=MILLION // 4))
    for _ in range(1000):
        losing.carry(b"x")
        doubling.carry(b"x")
    schedule.run_until(MILLION)
    assert 700 < len(few) < 800
    assert 1200 < len(many) < 1300


def test_without_carrier_nothing_is_carried_nor_what_was_under_way() -> None:
    schedule = Schedule()
    there, arrived = wire(schedule, Quality())
    back, _ = wire(schedule, Quality())
    link = Link(there, back)
    there.carry(b"under way")
    link.set_carrier(up=False)
    assert not link.is_up
    there.carry(b"too late")
    schedule.run_until(MILLION)
    link.set_carrier(up=True)
    there.carry(b"carried")
    schedule.run_until(2 * MILLION)
    assert [data for _, data in arrived] == [b"carried"]
