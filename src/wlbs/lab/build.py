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
from wlbs.scenario.topology import Node, Shape, Topology


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """One node or switch of a lab as it is now; what does not apply is empty or None."""

    name: str
    namespace: str
    address: str
    switch: str
    """The switch it is connected to."""
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
    nodes = (_status_of_node(names, topology, node) for node in topology.nodes)
    switches = (_status_of_switch(names, switch) for switch in topology.switches)
    return (*nodes, *switches)


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


def _status_of_node(names: LabNames, topology: Topology, node: Node) -> NodeStatus:
    namespace = names.namespace(node.name)
    exists, is_host = (NAMESPACES / namespace).exists(), node in topology.hosts
    return NodeStatus(
        name=node.name,
        namespace=namespace,
        address=str(node.address),
        switch=node.switch,
        exists=exists,
        service=exists and service_runs(names, node.name) if is_host else None,
        agent=exists and agent_runs(names, node.name) if is_host else None,
    )


def _status_of_switch(names: LabNames, switch: str) -> NodeStatus:
    namespace = names.namespace(switch)
    exists = (NAMESPACES / namespace).exists()
    return NodeStatus(switch, namespace, "", "", exists, service=None, agent=None)
