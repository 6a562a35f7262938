# SPDX-License-Identifier: Apache-2.0
"""Segments that come apart: hosts that hear and are not heard, and halves that serve alone."""

from typing import Final

from wlbs.scenario.expectations import FlagsGone, NoneBroken, TableExact
from wlbs.scenario.scripts.parts import ALWAYS, DETECTION_S, FLAGS_S, PORT, names_of, victim_of
from wlbs.scenario.steps import (
    BeginAttempts,
    Cut,
    EndAttempts,
    Heal,
    Scenario,
    SendFlows,
    Spread,
    Step,
    Traffic,
    Wait,
)
from wlbs.scenario.topology import Topology

_CUT_S: Final = 1.5
"""Five detection times: whatever the hosts are going to do, they have done it by then."""

_HEALED_S: Final = 2.0
"""A host that was refused is heard again, listens for one detection time and asks."""

_ATTEMPT_S: Final = 0.01

_A_PAIR: Final = 2
"""Two hosts alone have no third that hears both: one of them must stop serving for a while."""


def one_way(topology: Topology) -> Scenario:
    """Return the script of `one-way`: the eight cases of hearing and being heard.

    A third host hears both, so a cut between two of them costs nobody a connection; where the
    clients' frames do not reach a host, its share is not served, and nobody else's is disturbed.
    """
    first, second = topology.hosts[0].name, victim_of(topology)
    there = Cut(first, second, Traffic.HEARTBEATS)
    back = Cut(second, first, Traffic.HEARTBEATS)
    no_clients = Cut(None, second, Traffic.CLUSTER)
    heard = ((there,), (back,), (there, back))
    unheard = ((no_clients,), *((*case, no_clients) for case in heard))
    return Scenario(
        name="one-way",
        summary="hosts hear and are not heard, with and without the clients' frames",
        topology=topology,
        steps=(
            BeginAttempts("heard", PORT, _ATTEMPT_S),
            Wait(1.0),
            *(step for case in heard for step in _played(case)),
            EndAttempts("heard"),
            BeginAttempts("unheard", PORT, _ATTEMPT_S),
            *(step for case in unheard for step in _played(case)),
            EndAttempts("unheard"),
            SendFlows("after", PORT, 60, Spread.PORTS),
            Wait(FLAGS_S),
        ),
        expects=(
            *ALWAYS,
            *((NoneBroken("heard"),) if topology.host_count > _A_PAIR else ()),
            NoneBroken("after"),
            TableExact(names_of(topology)),
            FlagsGone(),
        ),
    )


def _played(case: tuple[Cut, ...]) -> tuple[Step, ...]:
    return (*case, Wait(_CUT_S), Heal(), Wait(_HEALED_S))


def partition(topology: Topology) -> Scenario:
    """Return the script of `partition`: two halves serve alone, each its own clients."""
    hosts, clients = names_of(topology), [each.name for each in topology.clients]
    half = max(1, len(hosts) // 2)
    left = (*hosts[:half], *clients[: len(clients) // 2])
    right = (*hosts[half:], *clients[len(clients) // 2 :])
    cuts: list[Step] = [Cut(a, b) for a in left for b in right]
    cuts += [Cut(b, a) for a in left for b in right]
    return Scenario(
        name="partition",
        summary="two halves serve alone and are one cluster again a detection time after",
        topology=topology,
        steps=(
            SendFlows("before", PORT, 60, Spread.PORTS),
            *cuts,
            # Until a half has noticed that it is alone, a part of its buckets is nobody's.
            Wait(2 * DETECTION_S),
            BeginAttempts("apart", PORT, _ATTEMPT_S),
            Wait(2.0),
            EndAttempts("apart"),
            Heal(),
            # Both halves may keep one flow until a heartbeat has come each way (S1).
            Wait(DETECTION_S),
            BeginAttempts("together", PORT, _ATTEMPT_S),
            Wait(2.0),
            EndAttempts("together"),
            Wait(FLAGS_S),
        ),
        expects=(
            *ALWAYS,
            NoneBroken("before"),
            NoneBroken("apart"),
            NoneBroken("together"),
            TableExact(names_of(topology)),
            FlagsGone(),
        ),
    )
