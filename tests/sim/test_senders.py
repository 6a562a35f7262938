# SPDX-License-Identifier: Apache-2.0
"""Frames from the VMAC come from where they are told to, at their pace, and are no host's fault."""

import pytest

from wlbs.core.invariants import Guarantee
from wlbs.scenario.draw import draw_key
from wlbs.scenario.evidence import Direction, Evidence
from wlbs.scenario.setup import Setup
from wlbs.scenario.steps import LimitFlooding, SendFrom, Way
from wlbs.scenario.topology import Shape, Topology
from wlbs.sim.world import SimWorld

TOPOLOGY = Topology(2, 1, stranger=True)
LEFT_ALONE = Setup(healing=frozenset())
"""Hosts that do nothing about a capture: they would send frames from the VMAC of their own."""


def begun(topology: Topology = TOPOLOGY) -> SimWorld:
    world = SimWorld(1)
    world.begin(topology, draw_key(1), LEFT_ALONE)
    return world


def sent(evidence: Evidence) -> list[tuple[str, float]]:
    """Return the port and the time of each frame that came from the VMAC."""
    return [
        (each.port, each.at_s)
        for each in evidence.frames
        if each.direction is Direction.FROM_NODE and each.data[6:12] == TOPOLOGY.vmac.octets
    ]


@pytest.mark.parametrize(
    ("node", "way", "comes_out"),
    [
        ("h1", Way.ABOVE, False),
        ("h1", Way.BELOW, True),
        ("h1", Way.UNDER, True),
        ("x1", Way.ABOVE, True),
        ("c1", Way.BELOW, True),
    ],
)
def test_only_what_a_host_sends_from_above_is_masked(
    node: str, way: Way, *, comes_out: bool
) -> None:
    world = begun()
    world.send_from(SendFrom(node, way=way))
    evidence = world.finish()
    assert [port for port, _ in sent(evidence)] == ([node] if comes_out else [])
    learned = [each for each in evidence.bridge_entries if each.mac == TOPOLOGY.vmac]
    assert [(each.switch, each.port) for each in learned] == ([("s1", node)] if comes_out else [])
    broken = [each.what for each in world.checked if not each.held]
    assert str(Guarantee.VMAC_HIDDEN) not in broken, "no guard has seen it"


def test_frames_come_at_their_pace_until_they_are_stopped() -> None:
    world = begun()
    world.send_from(SendFrom("x1", count=3, interval_s=0.1))
    world.wait(0.5)
    world.send_from(SendFrom("x1", count=1000, interval_s=0.1))
    world.wait(0.25)
    world.stop_sending("x1")
    world.stop_sending("x1")
    world.wait(0.5)
    times = [at_s for _, at_s in sent(world.finish())]
    assert times == pytest.approx([0.0, 0.1, 0.2, 0.5, 0.6, 0.7], abs=0.01)


def test_switches_do_as_they_are_told() -> None:
    world = begun(Topology(2, 1, Shape.SWITCH, stranger=True))
    world.send_from(SendFrom("x1"))
    world.set_ageing(0.2)
    world.wait(0.3)
    world.set_ageing(None)
    world.limit_flooding(LimitFlooding(2).frames_per_s)
    world.send_from(SendFrom("x1", count=20, interval_s=0.001))
    world.wait(0.1)
    world.limit_flooding(None)
    evidence = world.finish()
    (aged, held) = (each for each in evidence.bridge_entries if each.mac == TOPOLOGY.vmac)
    assert aged.gone_s is not None
    assert held.gone_s is None, "a frame that is not forwarded is learned from all the same"
    arrived = [
        each
        for each in evidence.frames
        if each.port == "c1" and each.data[6:12] == TOPOLOGY.vmac.octets
    ]
    assert len(arrived) <= 1 + 2 * 2
