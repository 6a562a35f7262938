# SPDX-License-Identifier: Apache-2.0
"""Handing over: connections stay with who has them; flags go when, and only when, they may (S2).

A bucket is followed on its way from owner to owner while a connection stays behind.
"""

import pytest
from tests.core.protocol.bus import Bus

from wlbs.core.protocol.counting import COOKIE_NS
from wlbs.core.protocol.shares import groups_of
from wlbs.core.table import Mark

ONE, TWO, THREE = "h1", "h2", "h3"
LEFT = Mark.FLAGGED | Mark.EARLIER_HOLDER


def bucket_of(bus: Bus, name: str, *, then: tuple[str, str]) -> int:
    """Return a bucket of a machine that, when one leaves, goes to another: (leaver, getter)."""
    leaver, getter = then
    probe = Bus(bus.cluster)
    probe.add(1, 2, 3)
    probe.start()
    probe.run(400)
    own = probe[name].owned[0]
    probe.crash(leaver)
    probe.run(400)
    taken = probe[getter].owned[0]
    return next(at for at in range(4096) if own >> at & 1 and taken >> at & 1)


def test_from_a_to_b_and_back_the_connection_never_needs_to_move(bus: Bus) -> None:
    """A→B→A within two seconds."""
    bucket = bucket_of(bus, ONE, then=(ONE, TWO))
    bus.connect(0, bucket)
    bus.drainstop(ONE)
    bus.run_until(lambda: bus.keepers(0, bucket) == [TWO], within_ms=20)
    assert bus[TWO].mark(0, bucket) == Mark.FLAGGED
    assert bus[ONE].mark(0, bucket) == LEFT
    assert bus.connect(0, bucket) == TWO
    bus.run(1000)
    bus.start(ONE)
    bus.run_until(lambda: bus.keepers(0, bucket) == [ONE], within_ms=400)
    assert bus[ONE].mark(0, bucket) == Mark.FLAGGED, "for the one that host 2 has"
    assert bus[TWO].mark(0, bucket) == LEFT
    bus.run(2000)
    assert bus[ONE].mark(0, bucket) == Mark.FLAGGED
    bus[TWO].connections.clear()
    bus.run_until(lambda: bus[ONE].mark(0, bucket) == Mark(0), within_ms=310)
    assert bus.violations == []


def test_from_a_to_b_to_c_the_last_owner_asks_for_claims_of_both(bus: Bus) -> None:
    """A→B→C within two seconds; the flag outlives whichever of the two ends first."""
    bucket = bucket_of(bus, ONE, then=(ONE, TWO))
    bus.connect(0, bucket)
    bus.drainstop(ONE)
    bus.run_until(lambda: bus.keepers(0, bucket) == [TWO], within_ms=20)
    assert bus.connect(0, bucket) == TWO
    bus.drainstop(TWO)
    bus.run_until(lambda: bus.keepers(0, bucket) == [THREE], within_ms=20)
    assert bus[ONE].mark(0, bucket) == bus[TWO].mark(0, bucket) == LEFT
    bus.run(2000)
    assert bus[THREE].mark(0, bucket) == Mark.FLAGGED
    bus[TWO].connections.clear()
    bus.run(2000)
    assert bus[THREE].mark(0, bucket) == Mark.FLAGGED
    bus[ONE].connections.clear()
    bus.run_until(lambda: bus[THREE].mark(0, bucket) == Mark(0), within_ms=310)
    assert bus.violations == []


def test_a_flag_goes_when_the_earlier_holder_says_so_and_only_then(bus: Bus) -> None:
    bucket = bucket_of(bus, ONE, then=(ONE, TWO))
    others = [at for at in range(4096) if bus.keepers(0, at) == [ONE] and at // 64 != bucket // 64]
    bus.connect(0, bucket)
    bus.connect(0, others[0])
    bus.drainstop(ONE)
    bus.run(1500)
    assert bus[TWO].mark(0, bucket) == Mark.FLAGGED
    assert groups_of(bus[TWO].flagged[0]).bit_count() <= 2, "all other groups are empty"
    bus.cut(ONE, TWO)
    bus[ONE].connections.remove((0, bucket))
    bus.run(250)
    assert bus[TWO].mark(0, bucket) == Mark.FLAGGED, "it has not been told yet"
    bus.heal()
    bus.run_until(lambda: bus[TWO].mark(0, bucket) == Mark(0), within_ms=120)
    assert bus[ONE].connections == {(0, others[0])}


def test_a_bucket_just_let_go_stays_marked_while_a_cookie_may_come_back(bus: Bus) -> None:
    """What a SYN cookie has promised is in no socket table, so no census can see it."""
    bucket = bucket_of(bus, ONE, then=(ONE, TWO))
    bus.drainstop(ONE)
    left_at = bus.now
    bus.run_until(lambda: bus[ONE].mark(0, bucket) != LEFT, within_ms=1300)
    assert bus.now - left_at >= COOKIE_NS
    assert bus[TWO].mark(0, bucket) in {Mark.FLAGGED, Mark(0)}


def test_a_census_under_way_when_a_bucket_is_let_go_is_not_believed(bus: Bus) -> None:
    """It was taken while the bucket was still owned, and so says nothing of who is in it."""
    bucket = bucket_of(bus, ONE, then=(ONE, TWO))
    bus.connect(0, bucket)
    bus.stall(TWO)
    bus.run(3200)
    bus.resume(TWO)
    bus.run(301)
    for _ in range(400):
        bus.run(5)
        marked = bus[ONE].owned[0] >> bucket & 1 or bus[ONE].mark(0, bucket) & Mark.EARLIER_HOLDER
        assert marked
    assert bus.violations == []


def test_a_census_asked_before_a_stall_is_not_believed_after_it(bus: Bus) -> None:
    """The stalled agent wakes to an answer that is older than all it has just let go."""
    buckets = [at for at in range(4096) if bus.keepers(0, at) == [THREE]]
    bus.drainstop(TWO)
    bus.run(500)
    bus.start(TWO)
    bus.run_until(lambda: bus.is_exact(ONE, TWO, THREE, flagged=True), within_ms=400)
    bus.run_until(lambda: bus.is_counting(THREE), within_ms=200)
    for bucket in buckets[:50]:
        bus.connect(0, bucket)
    bus.stall(THREE)
    bus.run(2000)
    bus.resume(THREE)
    bus.run(2000)
    assert len(bus[THREE].connections) == 50
    assert bus.violations == []


@pytest.mark.parametrize("seed", range(3))
def test_hundreds_of_connections_outlive_a_minute_of_coming_and_going(bus: Bus, seed: int) -> None:
    bus.random.seed(seed)
    for step in range(20):
        for bucket in bus.random.sample(range(4096), 40):
            for name in bus.keepers(1, bucket):
                bus[name].connections.add((1, bucket))
        name = bus.random.choice([ONE, TWO, THREE])
        if step % 2:
            bus.drainstop(name)
            bus.run(bus.random.randrange(10, 900))
            bus.start(name)
        else:
            bus.stall(name)
            bus.run(bus.random.randrange(10, 900))
            bus.resume(name)
        bus.run(bus.random.randrange(10, 900))
    for machine in bus.machines.values():
        machine.connections.clear()
    bus.run(400)
    bus.run_until(lambda: bus.is_exact(ONE, TWO, THREE), within_ms=5000)
    assert bus.violations == []
