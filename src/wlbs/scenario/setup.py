# SPDX-License-Identifier: Apache-2.0
"""How the hosts of a scenario are set up: the cluster's mode, and what may be done when it fails.

Knows what a configuration file says beside hosts and keys. Knows nothing of how a world writes it
down or carries it out.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

from wlbs.core.buckets import KEY_SIZE, HashKey
from wlbs.core.cluster import Cluster, Healing, Host, Mode
from wlbs.core.rules import Affinity, PortRule, Protocol
from wlbs.scenario.topology import Topology

ANY_KEY: Final = HashKey(bytes(KEY_SIZE))
"""For a cluster of which only the addresses are asked."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What the hosts are told, all of them the same."""

    mode: Mode = Mode.STEALTH
    masks_source: bool = True
    healing: frozenset[Healing] = frozenset({Healing.RELAY})
    forwarding: bool = False
    """Whether every host sends on what reaches its stack for somebody else (ip_forward=1)."""

    def cluster(self, topology: Topology, key: HashKey) -> Cluster:
        """Return the cluster of a topology under a key: port 80 by connection, 81 by client."""
        return Cluster(
            name="scenario",
            mode=self.mode,
            vips=(topology.vip,),
            hosts=tuple(Host(host.number, host.name, host.address) for host in topology.hosts),
            rules=(
                PortRule(80, 80, Protocol.TCP, affinity=Affinity.NONE),
                PortRule(81, 81, Protocol.TCP, affinity=Affinity.SINGLE),
            ),
            key=key,
            heartbeat_key=hashlib.blake2b(key.octets, digest_size=32, person=b"wlbs sim").digest(),
            masks_source=self.masks_source,
            healing=self.healing,
        )


ORDINARY: Final = Setup()
"""Mode stealth, as a configuration file has it that says nothing else."""
