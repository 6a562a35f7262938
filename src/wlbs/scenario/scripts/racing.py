# SPDX-License-Identifier: Apache-2.0
"""Hand-overs that meet connections half-way: two hosts know the same flow, and one may speak."""

from typing import Final

from wlbs.scenario.expectations import FlagsGone, Holds, NoneBroken, TableExact
from wlbs.scenario.scripts.parts import FLAGS_S, HEARTBEAT_S, PORT, names_of, victim_of
from wlbs.scenario.steps import (
    BeginAttempts,
    Cut,
    Deed,
    Do,
    EndAttempts,
    Heal,
    Scenario,
    Step,
    Wait,
)
from wlbs.scenario.topology import Topology

_ATTEMPT_S: Final = 0.01

_UNANSWERED_S: Final = 0.3
"""Well below the second after which a client sends its SYN again: the bucket has moved by then."""

_RETRIED_S: Final = 2.5
"""Until each of those SYNs has been sent again and answered by whoever holds the bucket now."""


def handover_races(topology: Topology) -> Scenario:
    """Return the script of `handover-races`: a bucket moves while its SYN-ACKs are lost.

    The old holder keeps half-open connections whose clients open them anew at the next holder, and
    hears every acknowledgement that is meant for that one. Only sequence numbers tell whose it is.
    """
    victim = victim_of(topology)
    deaf_clients: tuple[Step, ...] = tuple(Cut(victim, each.name) for each in topology.clients)
    return Scenario(
        name="handover-races",
        summary="a bucket moves while connections in it are half open at the old holder",
        topology=topology,
        steps=(
            BeginAttempts("aimed", PORT, _ATTEMPT_S, aimed_at=victim),
            Wait(0.5, HEARTBEAT_S),
            *deaf_clients,
            Wait(_UNANSWERED_S),
            Do(Deed.DRAINSTOP, victim),
            Wait(0.1),
            Heal(),
            Wait(_RETRIED_S),
            EndAttempts("aimed"),
            Do(Deed.START, victim),
            Wait(FLAGS_S),
        ),
        # Not `NEVER_TWO_OWNERS`: until it gives up, the old holder's stack sends its SYN-ACKs
        # again. A client that has met the next holder shrugs them off; more it may not notice.
        expects=(
            Holds.CAPTURES_COMPLETE,
            Holds.VMAC_UNLEARNED,
            Holds.VMAC_UNSENT,
            NoneBroken("aimed"),
            TableExact(names_of(topology)),
            FlagsGone(),
        ),
    )
