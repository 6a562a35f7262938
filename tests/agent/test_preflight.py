# SPDX-License-Identifier: Apache-2.0
"""What the agent says before it begins, of interfaces that not every kernel can make."""

from dataclasses import replace

import pytest

from wlbs.agent import preflight
from wlbs.core.address import Mac
from wlbs.core.cluster import Cluster, Mode
from wlbs.linux.link import Link

BOND = Link(3, "bond0", Mac.parse("52:00:00:00:00:11"), 1500, True, True, False, "bond")  # noqa: FBT003 - a fact


@pytest.mark.parametrize(
    ("mode", "kind", "count"),
    [(Mode.UNICAST, "bond", 1), (Mode.UNICAST, "veth", 0), (Mode.STEALTH, "bond", 0)],
)
def test_of_a_bond_with_the_vmac_an_operator_is_warned(
    cluster: Cluster, mode: Mode, kind: str, count: int
) -> None:
    """Some of its modes send from below the guard: a switch would learn the VMAC (Q258609)."""
    said = preflight.warnings(replace(cluster, mode=mode), replace(BOND, kind=kind))
    assert len([each for each in said if "past the guard" in each]) == count
