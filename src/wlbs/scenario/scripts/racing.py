# SPDX-License-Identifier: Apache-2.0
"""Hand-overs that meet connections half-way: two hosts know the same flow, and one may speak."""

from typing import Final

from wlbs.scenario.expectations import FlagsGone, NoneBroken, TableExact, Unbroken
from wlbs.scenario.scripts.parts import ALWAYS, FLAGS_S, HEARTBEAT_S, PORT, names_of, victim_of
from wlbs.scenario.steps import (
    BeginAttempts,
    CloseConnections,
    Cut,
    Deed,
    Do,
    EndAttempts,
    Heal,
    OpenConnections,
    Scenario,
    SendAgain,
    SendFlows,
    Spread,
    Step,
    Wait,
)
from wlbs.scenario.topology import Topology

_ATTEMPT_S: Final = 0.02
"""Slow enough that the victim itself never answers by cookies: hosts that share a kernel share the
secret of its cookies, and would know each other's for their own."""

_BURST_S: Final = 0.005

_UNANSWERED_S: Final = 0.3
"""Well below the second after which a client sends its SYN again: the bucket has moved by then."""

_RETRIED_S: Final = 2.5
"""Until each of those SYNs has been sent again and answered by whoever holds the bucket now."""

_DEAF_S: Final = 1.2
"""Long enough for a client that hears nothing to fill a service's backlog, short enough for its
open connections: an answer is sent again after 1.4 s at the latest (0.2 s, doubled twice)."""

_MOVE_S: Final = 0.6
"""Three moves within two seconds."""


def handover_races(topology: Topology) -> Scenario:
    """Return the script of `handover-races`: buckets move while connections in them are half-way.

    The old holder keeps half-open connections whose clients open them anew at the next holder, and
    port pairs in TIME_WAIT that come back there. Only sequence numbers tell whose a segment is.
    While the old holder still has connections, who took its buckets answers a burst by cookies.
    """
    victim = victim_of(topology)
    return Scenario(
        name="handover-races",
        summary="buckets move to and fro while connections in them are half-way",
        topology=topology,
        steps=(
            OpenConnections("lasting", PORT, 300),
            SendFlows("first", PORT, 120, Spread.PORTS),
            *_half_open(topology, victim),
            SendAgain("again", of="first"),
            *_burst(topology, victim),
            *_to_and_fro(topology, victim),
            CloseConnections("lasting"),
            Wait(FLAGS_S),
        ),
        expects=(
            *ALWAYS,
            Unbroken("lasting"),
            *map(NoneBroken, ("first", "aimed", "again", "burst", "moving")),
            TableExact(names_of(topology)),
            FlagsGone(),
        ),
    )


def _half_open(topology: Topology, victim: str) -> tuple[Step, ...]:
    """Have the victim's buckets moved while its SYN-ACKs are lost."""
    return (
        BeginAttempts("aimed", PORT, _ATTEMPT_S, aimed_at=victim),
        Wait(0.5, HEARTBEAT_S),
        *(Cut(victim, client.name) for client in topology.clients),
        Wait(_UNANSWERED_S),
        Do(Deed.DRAINSTOP, victim),
        Wait(0.1),
        Heal(),
        Wait(_RETRIED_S),
        EndAttempts("aimed"),
    )


def _burst(topology: Topology, victim: str) -> tuple[Step, ...]:
    """Have one client hear no answer, so that half-open connections pile up at the new holders."""
    deaf = topology.clients[0].name
    return (
        *(Cut(host, deaf) for host in names_of(topology) if host != victim),
        BeginAttempts("burst", PORT, _BURST_S, aimed_at=victim),
        Wait(_DEAF_S),
        Heal(),
        Wait(_RETRIED_S),
        EndAttempts("burst"),
    )


def _to_and_fro(topology: Topology, victim: str) -> tuple[Step, ...]:
    """Have buckets come back, leave again, and leave the host they had gone to."""
    other = topology.hosts[-1].name
    moves = [
        Do(Deed.START, victim),
        Do(Deed.DRAINSTOP, victim),
        Do(Deed.START, victim),
    ]
    if other != victim and topology.host_count > 2:  # noqa: PLR2004 - somebody must be left
        moves[2:] = [Do(Deed.DRAINSTOP, other), Do(Deed.START, victim), Do(Deed.START, other)]
    return (
        BeginAttempts("moving", PORT, _ATTEMPT_S),
        *(step for move in moves for step in (move, Wait(_MOVE_S))),
        Wait(1.0),
        EndAttempts("moving"),
    )
