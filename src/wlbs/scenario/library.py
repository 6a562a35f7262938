# SPDX-License-Identifier: Apache-2.0
"""The named scenarios, in any topology.

Knows which there are; what happens in each is in the package `scripts`.
"""

from collections.abc import Callable
from typing import Final

from wlbs.scenario.scripts.capturing import q258609_heal, q258609_nt4, q258609_w2k
from wlbs.scenario.scripts.failing import (
    crash,
    crash_busy,
    crash_carrier,
    stall,
    stall_kill,
    stall_swap,
)
from wlbs.scenario.scripts.leaving import leave_join, rolling
from wlbs.scenario.scripts.modes import hub_unmasked, igmp, multicast, unicast
from wlbs.scenario.scripts.racing import handover_races
from wlbs.scenario.scripts.serving import serve
from wlbs.scenario.scripts.showing import show_heal, show_nt4, show_stealth
from wlbs.scenario.scripts.splitting import one_way, partition
from wlbs.scenario.scripts.stealing import (
    hijack,
    leak_on_join,
    no_flood,
    relay_edges,
    tree,
    vmware_1556,
)
from wlbs.scenario.steps import Cut, Scenario
from wlbs.scenario.topology import Topology

_SCRIPTS: Final[tuple[Callable[[Topology], Scenario], ...]] = (
    serve,
    show_nt4,
    show_heal,
    show_stealth,
    crash,
    crash_carrier,
    crash_busy,
    leave_join,
    rolling,
    stall,
    stall_swap,
    stall_kill,
    one_way,
    partition,
    handover_races,
    q258609_nt4,
    q258609_w2k,
    q258609_heal,
    hijack,
    vmware_1556,
    no_flood,
    leak_on_join,
    tree,
    relay_edges,
    unicast,
    hub_unmasked,
    multicast,
    igmp,
)

SCENARIOS: Final[dict[str, Scenario]] = {
    each.name: each for each in (script(Topology()) for script in _SCRIPTS)
}


def with_topology(scenario: Scenario, topology: Topology) -> Scenario:
    """Return a scenario of the library in another topology, its parts played by who is there."""
    for script in _SCRIPTS:
        moved = script(topology)
        if moved.name == scenario.name:
            return moved
    raise KeyError(scenario.name)


def crosses_switches(scenario: Scenario) -> bool:
    """Tell whether a scenario cuts a path between nodes of two switches: none of them could."""
    switches = {node.name: node.switch for node in scenario.topology.nodes}
    return any(
        isinstance(step, Cut)
        and step.sender is not None
        and step.receiver is not None
        and switches[step.sender] != switches[step.receiver]
        for step in scenario.steps
    )
