# SPDX-License-Identifier: Apache-2.0
"""Connections that nodes of a lab open to hosts' own addresses, one after the other.

Knows namespaces and the service's port. Knows nothing of who should be reached.
"""

import http.client
import time
from typing import Final

from wlbs.core.address import IpAddress
from wlbs.lab.exchange import ATTEMPT_S_MAX, failure_of
from wlbs.lab.names import LabNames
from wlbs.linux import namespace
from wlbs.scenario.evidence import Attempt
from wlbs.scenario.topology import Node, Topology

PORT: Final = 80


def visit(names: LabNames, topology: Topology, batch: str, origin_s: float) -> list[Attempt]:
    """Have every host and client open a connection to each other host's own address."""
    made = []
    for visitor in (*topology.hosts, *topology.clients):
        with namespace.entered(names.namespace(visitor.name)):
            made += [
                _ask(visitor, host.address, batch, origin_s)
                for host in topology.hosts
                if host != visitor
            ]
    return made


def _ask(visitor: Node, address: IpAddress, batch: str, origin_s: float) -> Attempt:
    at_s, source_port = time.time() - origin_s, 0
    answered_by, error = None, ""
    connection = http.client.HTTPConnection(str(address), PORT, timeout=ATTEMPT_S_MAX)
    try:
        connection.connect()
        source_port = int(connection.sock.getsockname()[1])
        connection.request("GET", "/", headers={"Connection": "close"})
        answered_by = connection.getresponse().read().decode().strip()
    except (OSError, http.client.HTTPException) as failure:
        error = failure_of(failure)
    finally:
        connection.close()
    own = (visitor.name, visitor.address, source_port, PORT)
    return Attempt(batch, at_s, *own, answered_by, error, to_vip=False)
