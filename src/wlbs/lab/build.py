# SPDX-License-Identifier: Apache-2.0
"""A whole lab: built, described and taken down.

Knows the order: sweep, network, services, agents. Knows nothing of scenarios.
"""

import json
import secrets
from dataclasses import dataclass

from wlbs.core.buckets import KEY_SIZE, HashKey
from wlbs.lab.agents import agent_runs, start_agents
from wlbs.lab.command import require_root
from wlbs.lab.names import NAMESPACES, LabNames
from wlbs.lab.network import build_network
from wlbs.lab.service import service_runs, start_service
from wlbs.lab.sweep import sweep
from wlbs.linux.error import LinuxError
from wlbs.scenario.setup import ORDINARY
from wlbs.scenario.topology import Shape, Topology


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """One node of a lab as it is now; ``service`` and ``agent`` are None where it has none."""

    name: str
    namespace: str
    address: str
    exists: bool
    service: bool | None
    agent: bool | None


def build(names: LabNames, topology: Topology) -> None:
    """Build network and services, removing first what an earlier lab of this name left."""
    require_root()
    sweep(names.lab)
    names.state.mkdir(parents=True)
    description = {
        "hosts": topology.host_count,
        "clients": topology.client_count,
        "shape": topology.shape,
        "stranger": topology.stranger,
    }
    (names.state / "lab.json").write_text(json.dumps(description) + "\n")
    build_network(names, topology)
    for host in topology.hosts:
        start_service(names, host.name)


def start_cluster(names: LabNames, topology: Topology) -> None:
    """Start the agents of a lab that is built, under a key of its own."""
    start_agents(names, topology, ORDINARY, HashKey(secrets.token_bytes(KEY_SIZE)), {})


def read_topology(names: LabNames) -> Topology:
    """Return the topology of a lab that is up; LinuxError if there is none."""
    try:
        description = json.loads((names.state / "lab.json").read_text())
        return Topology(
            int(description["hosts"]),
            int(description["clients"]),
            Shape(description["shape"]),
            bool(description["stranger"]),
        )
    except (OSError, ValueError, KeyError) as error:
        raise LinuxError(
            what=f"there is no lab named {names.lab!r}",
            remedy="type `wlbs lab up`, or `wlbs lab list`",
        ) from error


def status(names: LabNames) -> tuple[NodeStatus, ...]:
    """Return what there is of a lab that is up."""
    topology = read_topology(names)
    hosts = {host.name for host in topology.hosts}
    rows = [(each.name, str(each.address)) for each in topology.nodes]
    rows += [(switch, "") for switch in topology.switches]
    return tuple(_status_of(names, name, address, name in hosts) for name, address in rows)


def namespace_of(names: LabNames, node: str) -> str:
    """Return a node's namespace; LinuxError, with the names there are, if it has none."""
    namespace = names.namespace(node)
    if not (NAMESPACES / namespace).exists():
        topology = read_topology(names)
        there_are = " ".join((*(each.name for each in topology.nodes), *topology.switches))
        raise LinuxError(
            what=f"lab {names.lab!r} has no node {node!r}",
            remedy=f"name one of {there_are}",
        )
    return namespace


def _status_of(names: LabNames, node: str, address: str, is_host: bool) -> NodeStatus:  # noqa: FBT001 - a fact about the node, not a switch
    exists = (NAMESPACES / names.namespace(node)).exists()
    return NodeStatus(
        name=node,
        namespace=names.namespace(node),
        address=address,
        exists=exists,
        service=exists and service_runs(names, node) if is_host else None,
        agent=exists and agent_runs(names, node) if is_host else None,
    )
