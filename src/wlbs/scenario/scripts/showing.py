# SPDX-License-Identifier: Apache-2.0
"""What a cluster is for, in half a minute: it serves, a host dies, it comes back."""

from wlbs.scenario.expectations import FlagsGone, Holds, NoneBroken, TableExact, TakenOver, Unbroken
from wlbs.scenario.scripts.failing import ATTEMPT_S, COME_BACK_S, GAP_MS_MAX
from wlbs.scenario.scripts.parts import ALWAYS, FLAGS_S, HEARTBEAT_S, PORT, names_of, victim_of
from wlbs.scenario.steps import (
    BeginAttempts,
    CloseConnections,
    EndAttempts,
    OpenConnections,
    Scenario,
    SendFlows,
    SendFrom,
    SetCarrier,
    Spread,
    Wait,
)
from wlbs.scenario.topology import Topology


def show(topology: Topology) -> Scenario:
    """Return the script of `show`, which `wlbs demo` plays."""
    victim = victim_of(topology)
    return Scenario(
        name="show",
        summary="hosts share one address, one of them dies and comes back",
        topology=topology,
        steps=(
            SendFlows("requests", PORT, 600, Spread.PORTS),
            OpenConnections("lasting", PORT, 60),
            BeginAttempts("new", PORT, 2 * ATTEMPT_S),
            SendFrom(victim),
            Wait(3.0),
            BeginAttempts("aimed", PORT, ATTEMPT_S, aimed_at=victim),
            Wait(0.5, HEARTBEAT_S),
            # Not a cut: whoever is cut off and has its carrier serves alone, and when it is heard
            # again both may answer until a heartbeat has come each way (S1).
            SetCarrier(victim, up=False, label="death"),
            Wait(4.0),
            EndAttempts("aimed"),
            SetCarrier(victim, up=True),
            Wait(COME_BACK_S + 1.0),
            EndAttempts("new"),
            CloseConnections("lasting"),
            Wait(FLAGS_S),
        ),
        expects=(
            *ALWAYS,
            Holds.ARP_TRUE,
            Holds.NEIGHBOURS_TRUE,
            NoneBroken("requests"),
            TakenOver("aimed", "death", GAP_MS_MAX),
            Unbroken("lasting", lost_host=victim),
            TableExact(names_of(topology)),
            FlagsGone(),
        ),
    )
