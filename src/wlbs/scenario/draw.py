# SPDX-License-Identifier: Apache-2.0
"""From a seed to everything a run leaves to chance: the cluster's key and who sends from where.

A pure function of the seed, by SHAKE-256, so that a printed seed repeats a run on any version of
Python. Knows nothing of when or by whom flows are sent.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

from wlbs.core.address import IpAddress
from wlbs.core.buckets import KEY_SIZE, HashKey
from wlbs.scenario.steps import SendFlows, Spread
from wlbs.scenario.topology import ADDRESSES_PER_CLIENT_MAX, Topology, address_behind

FIRST_PORT: Final = 1024
LAST_PORT: Final = 65535
"""Below lie the ports that need a privilege."""

_WORD_SIZE: Final = 4


@dataclass(frozen=True, slots=True)
class PlannedFlow:
    """One connection a client shall open."""

    batch: str
    client: str
    source: IpAddress
    source_port: int
    server_port: int


def draw_key(seed: int, purpose: str = "key") -> HashKey:
    """Return the cluster's key of this seed; another purpose gives another key."""
    return HashKey(_stream(seed, purpose, KEY_SIZE))


def draw_flows(
    seed: int, step: SendFlows, topology: Topology, drawn_count: int = 0
) -> tuple[PlannedFlow, ...]:
    """Return the flows of a step, the clients taking turns.

    ``drawn_count`` flows were drawn before in this run; no source port is used twice.
    """
    clients = topology.clients
    ports = _shuffled(seed, "ports", range(FIRST_PORT, LAST_PORT + 1))[drawn_count:]
    assert step.count <= len(ports), f"{drawn_count} + {step.count} flows need more ports"
    flows = []
    for index in range(step.count):
        client = clients[index % len(clients)]
        source = client.address
        if step.spread is Spread.ADDRESSES:
            number = index // len(clients) + 1
            assert number <= ADDRESSES_PER_CLIENT_MAX, f"{step.count} flows need more clients"
            source = address_behind(client, number)
        flows.append(PlannedFlow(step.batch, client.name, source, ports[index], step.server_port))
    return tuple(flows)


def _shuffled(seed: int, purpose: str, numbers: range) -> tuple[int, ...]:
    scores = _stream(seed, purpose, _WORD_SIZE * len(numbers))
    order = sorted(
        range(len(numbers)), key=lambda at: scores[_WORD_SIZE * at : _WORD_SIZE * (at + 1)]
    )
    return tuple(numbers[at] for at in order)


def _stream(seed: int, purpose: str, size: int) -> bytes:
    return hashlib.shake_256(f"wlbs {seed} {purpose}".encode()).digest(size)
