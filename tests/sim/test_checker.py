# SPDX-License-Identifier: Apache-2.0
"""The checker is silent over sound worlds, and each of its guarantees has been seen to break."""

from dataclasses import replace

import pytest

from wlbs.core.buckets import BUCKET_COUNT
from wlbs.core.invariants import Guarantee
from wlbs.core.protocol.events import Instant
from wlbs.core.table import Buckets, FilterTable
from wlbs.scenario.draw import draw_key
from wlbs.scenario.report import Expectation
from wlbs.scenario.setup import ORDINARY
from wlbs.scenario.steps import Cut, Deed, Do, SendFrom
from wlbs.scenario.topology import Topology
from wlbs.sim.checker import JUDGED
from wlbs.sim.parts import Parts
from wlbs.sim.sabotage import Sabotage
from wlbs.sim.world import Options, SimWorld


def everything(table: FilterTable) -> FilterTable:
    """Own every bucket."""
    owned = Buckets(bytes((table.own,)) * BUCKET_COUNT)
    return replace(table, buckets=(owned,) * len(table.buckets))


def begun(parts: Parts = Parts()) -> SimWorld:  # noqa: B008 - a frozen value
    world = SimWorld(1, Options(Sabotage("test", "a fault", "serve", parts)))
    world.begin(Topology(2, 1), draw_key(1), ORDINARY)
    return world


def broken(world: SimWorld) -> list[str]:
    return [each.what for each in world.checked if not each.held]


def test_a_sound_world_keeps_every_guarantee() -> None:
    world = begun()
    world.wait(1.0)
    assert [each.what for each in world.checked] == [str(each) for each in JUDGED]
    assert broken(world) == []


def test_two_owners_that_hear_each_other_are_told_and_apart_they_are_not() -> None:
    assert broken(begun(Parts(table=everything))) == [str(Guarantee.ONE_OWNER)]
    world = begun()
    world.cut(Cut("h1", "h2"))
    world.cut(Cut("h2", "h1"))
    world.wait(2.0)
    holdings = [each for each in world.finish().holdings if each.rule == 0]
    assert [each.owned.bit_count() for each in holdings] == [BUCKET_COUNT, BUCKET_COUNT]
    assert broken(world) == [], "halves that do not hear each other may both serve"
    world.heal()
    world.wait(2.0)
    assert broken(world) == []


def test_a_lease_that_outlives_its_agent_is_told() -> None:
    world = begun(Parts(lease=lambda _: Instant(1 << 62)))
    assert broken(world) == []
    world.do(Do(Deed.STALL, "h2"))
    world.wait(0.25)
    assert broken(world) == []
    world.wait(0.15)
    assert broken(world) == [str(Guarantee.STALLED_KEEPS_NOTHING)]


def test_an_agent_that_is_dead_counts_from_its_end() -> None:
    world = begun(Parts(lease=lambda _: Instant(1 << 62)))
    world.do(Do(Deed.KILL, "h2"))
    world.wait(0.25)
    assert broken(world) == []
    world.wait(0.15)
    assert broken(world) == [str(Guarantee.STALLED_KEEPS_NOTHING)]


def test_a_frame_from_the_vmac_is_told() -> None:
    from wlbs.sim.sabotage import SABOTAGES  # noqa: PLC0415 - the one fault that has a name

    world = SimWorld(1, Options(SABOTAGES["guard-off"]))
    world.begin(Topology(2, 1), draw_key(1), ORDINARY)
    world.send_from(SendFrom("h1"))
    assert broken(world) == []
    world.send_from(SendFrom("h2"))
    assert broken(world) == [str(Guarantee.VMAC_HIDDEN)]


def test_what_broke_is_told_with_its_first_moment() -> None:
    world = begun(Parts(lease=lambda _: Instant(1 << 62)))
    world.do(Do(Deed.STALL, "h2"))
    world.wait(1.0)
    (told,) = (each for each in world.checked if not each.held)
    assert isinstance(told, Expectation)
    assert told.at_s == pytest.approx(0.3, abs=0.1)
    assert told.seen.startswith("first of 100: host 2 has a live lease after 30")
