# SPDX-License-Identifier: Apache-2.0
"""A cluster in the modes whose VMAC is a group: who gets what is sent to it."""

import pytest

from wlbs.core.cluster import Mode
from wlbs.scenario.draw import draw_key
from wlbs.scenario.evidence import Direction, Evidence
from wlbs.scenario.setup import Setup
from wlbs.scenario.steps import Deed, Do
from wlbs.scenario.topology import Shape, Topology
from wlbs.sim.world import SimWorld


def ports_reached(world: SimWorld, evidence: Evidence, since_s: float = 0.0) -> set[str]:
    """Return the ports out of which anything went that was addressed to the VMAC."""
    vmac = world.cluster.vmac.octets
    return {
        each.port
        for each in evidence.frames
        if each.direction is Direction.TO_NODE and each.data[:6] == vmac and each.at_s >= since_s
    }


def begun(mode: Mode, shape: Shape) -> SimWorld:
    world = SimWorld(1)
    world.begin(Topology(3, 1, shape, stranger=True), draw_key(1), Setup(mode))
    world.wait(0.5)
    return world


@pytest.mark.parametrize(
    ("mode", "shape", "reached"),
    [
        (Mode.IGMP, Shape.SNOOPING, {"h1", "h2", "h3"}),
        (Mode.IGMP, Shape.SWITCH, {"h1", "h2", "h3", "c1", "x1"}),
        (Mode.MULTICAST, Shape.SNOOPING, {"h1", "h2", "h3", "c1", "x1"}),
        (Mode.MULTICAST, Shape.BLOCKING, {"h1", "h2", "h3", "c1", "x1"}),
    ],
)
def test_only_a_switch_that_snoops_keeps_a_group_to_its_members(
    mode: Mode, shape: Shape, reached: set[str]
) -> None:
    world = begun(mode, shape)
    assert ports_reached(world, world.finish()) == reached


def test_a_host_that_ends_is_no_member_any_more() -> None:
    world = begun(Mode.IGMP, Shape.SNOOPING)
    world.do(Do(Deed.END, "h2"))
    ended_s = world.elapsed_s()
    world.wait(0.5)
    evidence = world.finish()
    assert ports_reached(world, evidence, ended_s + 0.01) == {"h1", "h3"}
