# SPDX-License-Identifier: Apache-2.0
"""Hosts that leave and join because an operator says so."""

from typing import Final

from wlbs.scenario.expectations import (
    FlagsGone,
    Follows,
    Holds,
    NonceChanged,
    NoneBroken,
    NothingNewAt,
    TableExact,
    Unbroken,
)
from wlbs.scenario.scripts.parts import ALWAYS, FLAGS_S, PORT, names_of, victim_of
from wlbs.scenario.steps import (
    AwaitStopped,
    BeginAttempts,
    CloseConnections,
    Deed,
    Do,
    EndAttempts,
    OpenConnections,
    Scenario,
    Step,
    Wait,
)
from wlbs.scenario.topology import Topology

RELEASED_S: Final = 0.5
"""How soon a host that drains takes nothing new, the operator's own command included."""

DRAINED_S: Final = 1.0
"""How soon it has stopped once its last connection has ended."""

_NEW_S: Final = 0.02
"""Fifty new connections a second beside hundreds of old ones leave two processors room."""


def rolling(topology: Topology) -> Scenario:
    """Return the script of `rolling`: every host is replaced in turn and no client notices."""
    hosts = names_of(topology)
    return Scenario(
        name="rolling",
        summary="each host in turn is drained, ended and begun anew under load",
        topology=topology,
        steps=(
            OpenConnections("lasting", PORT, 300),
            BeginAttempts("new", PORT, _NEW_S),
            Wait(1.0),
            *(step for host in hosts for step in _replace(host)),
            EndAttempts("new"),
            CloseConnections("lasting"),
            Wait(FLAGS_S),
        ),
        expects=(
            *ALWAYS,
            Holds.NO_RESET,
            Unbroken("lasting"),
            NoneBroken("new"),
            *(
                NothingNewAt(host, f"{host} drains", RELEASED_S, until=f"{host} begins")
                for host in hosts
            ),
            *(
                Follows(f"{host} is left", f"{host} stops", DRAINED_S, figure="drain_ms")
                for host in hosts
            ),
            *(NonceChanged(host) for host in hosts),
            TableExact(hosts),
            FlagsGone(),
        ),
    )


def _replace(host: str) -> tuple[Step, ...]:
    return (
        Do(Deed.DRAINSTOP, host, f"{host} drains"),
        Wait(2.0),
        CloseConnections("lasting", host, f"{host} is left"),
        AwaitStopped(host, 10.0, f"{host} stops"),
        Do(Deed.END, host),
        Do(Deed.BEGIN, host, f"{host} begins"),
        Wait(2.0),
    )


def leave_join(topology: Topology) -> Scenario:
    """Return the script of `leave-join`: a host stops at once and comes back."""
    victim = victim_of(topology)
    return Scenario(
        name="leave-join",
        summary="an operator stops a host and starts it again; the others' connections go on",
        topology=topology,
        steps=(
            OpenConnections("lasting", PORT, 90),
            Wait(1.0),
            Do(Deed.STOP, victim, "left"),
            Wait(0.5),
            # A third of these fall into buckets that the host takes back while they are open.
            OpenConnections("meanwhile", PORT, 90),
            BeginAttempts("new", PORT, _NEW_S),
            Wait(2.0),
            Do(Deed.START, victim, "joined"),
            Wait(3.0),
            EndAttempts("new"),
            CloseConnections("lasting"),
            CloseConnections("meanwhile"),
            Wait(FLAGS_S),
        ),
        expects=(
            *ALWAYS,
            Unbroken("lasting", lost_host=victim),
            Unbroken("meanwhile"),
            NoneBroken("new"),
            NothingNewAt(victim, "left", RELEASED_S, until="joined"),
            TableExact(names_of(topology)),
            FlagsGone(),
        ),
    )
