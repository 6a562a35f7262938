# SPDX-License-Identifier: Apache-2.0
"""From a seed to everything a run leaves to chance: key, source ports, and how long to wait.

A pure function of the seed, by SHAKE-256, so that a printed seed repeats a run on any version of
Python. Knows nothing of when or by whom flows are sent.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle
from typing import Final

from wlbs.core.address import IpAddress
from wlbs.core.allocation import allocate
from wlbs.core.buckets import KEY_SIZE, Flow, HashKey, bucket_of
from wlbs.core.cluster import Cluster
from wlbs.core.frame import IpProtocol
from wlbs.core.rules import DEFAULT_RULE, find_rule
from wlbs.scenario.steps import BeginAttempts, OpenConnections, SendFlows, Spread
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


def draw_part(seed: int, purpose: str) -> float:
    """Return a number from 0 up to 1, the same one for the same purpose."""
    return int.from_bytes(_stream(seed, purpose, _WORD_SIZE), "big") / (1 << 8 * _WORD_SIZE)


Choice = Callable[[PlannedFlow], bool]
"""Tells whether a flow is one of those wanted."""


def anywhere(flow: PlannedFlow) -> bool:
    """Take any flow."""
    del flow
    return True


class Draws:
    """All flows of one run; no source port is drawn twice."""

    def __init__(self, seed: int, topology: Topology) -> None:
        """Shuffle the ports; nothing is drawn yet."""
        self._topology = topology
        self._ports = iter(_shuffled(seed, "ports", range(FIRST_PORT, LAST_PORT + 1)))

    def flows(
        self, step: SendFlows | OpenConnections, aim: Choice = anywhere
    ) -> tuple[PlannedFlow, ...]:
        """Return the flows of a step that meet the aim, the clients taking turns."""
        if isinstance(step, SendFlows) and step.spread is Spread.ADDRESSES:
            assert step.aimed_at is None, "each address is used once, whoever owns its bucket"
            return self._by_address(step)
        return self._by_port(step, step.count, aim)

    def attempts(self, step: BeginAttempts, count: int, aim: Choice) -> tuple[PlannedFlow, ...]:
        """Return so many flows that meet the aim, the clients taking turns."""
        return self._by_port(step, count, aim)

    def _by_address(self, step: SendFlows) -> tuple[PlannedFlow, ...]:
        clients = self._topology.clients
        found = []
        for index in range(step.count):
            client, number = clients[index % len(clients)], index // len(clients) + 1
            assert number <= ADDRESSES_PER_CLIENT_MAX, f"{step.count} flows need more clients"
            source = address_behind(client, number)
            found.append(
                PlannedFlow(step.batch, client.name, source, self._port(), step.server_port)
            )
        return tuple(found)

    def _by_port(
        self, step: SendFlows | OpenConnections | BeginAttempts, count: int, aim: Choice
    ) -> tuple[PlannedFlow, ...]:
        clients = cycle(self._topology.clients)
        client = next(clients)
        found: list[PlannedFlow] = []
        while len(found) < count:
            flow = PlannedFlow(
                step.batch, client.name, client.address, self._port(), step.server_port
            )
            if aim(flow):
                found.append(flow)
                client = next(clients)
        return tuple(found)

    def _port(self) -> int:
        port = next(self._ports, None)
        assert port is not None, "the run needs more flows than there are ports"
        return port


class Aim:
    """Tells whose flow a flow is, by the core's own law, while every host is present."""

    def __init__(self, cluster: Cluster, host: str) -> None:
        """Aim at one host of a cluster."""
        self._cluster = cluster
        self._index = next(each.index for each in cluster.hosts if each.name == host)
        present = frozenset(each.index for each in cluster.hosts)
        self._owners = tuple(
            allocate(cluster.key, {each: rule.load_weight(each) for each in present}, present)
            for rule in cluster.rules
        )

    def __call__(self, flow: PlannedFlow) -> bool:
        """Tell whether the host aimed at owns the flow's bucket."""
        cluster = self._cluster
        tcp = IpProtocol.TCP
        rule = find_rule(cluster.rules, cluster.primary, tcp, flow.server_port)
        assert rule != DEFAULT_RULE, f"no rule covers port {flow.server_port}"
        identity = Flow(flow.source, flow.source_port, flow.server_port, tcp)
        bucket = bucket_of(cluster.key, cluster.rules[rule].affinity, identity)
        return self._owners[rule][bucket] == self._index


def _shuffled(seed: int, purpose: str, numbers: range) -> tuple[int, ...]:
    scores = _stream(seed, purpose, _WORD_SIZE * len(numbers))
    order = sorted(
        range(len(numbers)), key=lambda at: scores[_WORD_SIZE * at : _WORD_SIZE * (at + 1)]
    )
    return tuple(numbers[at] for at in order)


def _stream(seed: int, purpose: str, size: int) -> bytes:
    return hashlib.shake_256(f"wlbs {seed} {purpose}".encode()).digest(size)
