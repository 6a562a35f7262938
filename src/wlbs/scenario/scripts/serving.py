# SPDX-License-Identifier: Apache-2.0
"""A cluster at work, and nothing happens to its hosts."""

from wlbs.scenario.expectations import FairShare, Holds
from wlbs.scenario.scripts.parts import victim_of
from wlbs.scenario.steps import Scenario, SendFlows, SendFrom, Spread
from wlbs.scenario.topology import Topology


def serve(topology: Topology) -> Scenario:
    """Return the script of `serve`."""
    return Scenario(
        name="serve",
        summary="hosts share one address; a leak of the cluster's MAC changes nothing",
        topology=topology,
        steps=(
            SendFlows("affinity none", 80, 1000, Spread.PORTS),
            SendFlows("affinity single", 81, 400, Spread.ADDRESSES),
            SendFrom(victim_of(topology)),
            SendFlows("after the leak", 80, 60, Spread.PORTS),
        ),
        expects=(
            Holds.CAPTURES_COMPLETE,
            Holds.ALL_ANSWERED,
            # Three standard deviations of a fair binomial share: 4.5 points of 1,000, 7.1 of 400.
            FairShare("affinity none", 0.05),
            FairShare("affinity single", 0.08),
            Holds.LOGS_AGREE,
            Holds.COUNTERS_AGREE,
            Holds.VMAC_UNLEARNED,
            Holds.VMAC_UNSENT,
            Holds.ARP_TRUE,
            Holds.ARP_ONCE,
            Holds.SYN_ONCE,
            Holds.NEVER_TWO_OWNERS,
            Holds.NO_RESET,
            Holds.NEIGHBOURS_TRUE,
        ),
    )
