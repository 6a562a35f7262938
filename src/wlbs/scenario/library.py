# SPDX-License-Identifier: Apache-2.0
"""The named scenarios.

Knows what each is about; what holds in all of them is in `judge`.
"""

from dataclasses import replace
from typing import Final

from wlbs.scenario.expectations import FairShare
from wlbs.scenario.steps import Leak, Scenario, SendFlows, Spread
from wlbs.scenario.topology import Topology

_SERVE: Final = Scenario(
    name="serve",
    summary="three hosts share one address; a leak of the cluster's MAC changes nothing",
    topology=Topology(),
    steps=(
        SendFlows("affinity none", 80, 1000, Spread.PORTS),
        SendFlows("affinity single", 81, 400, Spread.ADDRESSES),
        Leak("h2"),
        SendFlows("after the leak", 80, 60, Spread.PORTS),
    ),
    # Three standard deviations of a fair binomial share: 4.5 points of 1,000, 7.1 of 400.
    expects=(FairShare("affinity none", 0.05), FairShare("affinity single", 0.08)),
)

SCENARIOS: Final[dict[str, Scenario]] = {each.name: each for each in (_SERVE,)}


def with_topology(scenario: Scenario, topology: Topology) -> Scenario:
    """Return the scenario in another topology; a leak by a host that is not there is by h1."""
    names = {host.name for host in topology.hosts}
    steps = tuple(
        Leak("h1") if isinstance(step, Leak) and step.host not in names else step
        for step in scenario.steps
    )
    return replace(scenario, topology=topology, steps=steps)
