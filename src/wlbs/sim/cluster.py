# SPDX-License-Identifier: Apache-2.0
"""The cluster that a topology's hosts are configured as: the one the lab writes as a file.

Port 80 is shared by connection, port 81 by client. Knows nothing of who runs it.
"""

import hashlib

from wlbs.core.buckets import HashKey
from wlbs.core.cluster import Cluster, Host, Mode
from wlbs.core.rules import Affinity, PortRule, Protocol
from wlbs.scenario.topology import Topology


def cluster_of(topology: Topology, key: HashKey) -> Cluster:
    """Return the cluster of a topology under a key."""
    return Cluster(
        name="sim",
        mode=Mode.STEALTH,
        vips=(topology.vip,),
        hosts=tuple(Host(host.number, host.name, host.address) for host in topology.hosts),
        rules=(
            PortRule(80, 80, Protocol.TCP, affinity=Affinity.NONE),
            PortRule(81, 81, Protocol.TCP, affinity=Affinity.SINGLE),
        ),
        key=key,
        heartbeat_key=hashlib.blake2b(key.octets, digest_size=32, person=b"wlbs sim").digest(),
    )
