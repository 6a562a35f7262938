# SPDX-License-Identifier: Apache-2.0
"""Who is in a scenario and under which names and addresses, so guessable that one types them.

Host ``hN`` has 10.9.0.N and 06:00:00:00:01:NN, client ``cN`` 10.9.0.(200+N) and
06:00:00:00:02:NN; they meet at switch ``s1``, or in a tree at ``s1``, ``s2`` and ``s3`` in turn. A
switch's port has the name of what is behind it: a node, or the next switch. Behind each client lies
a network 10.9.(100+N).0/24, so that one client can speak from many addresses. The stranger ``x1``,
10.9.0.250 and 06:00:00:00:03:01, is there where a topology asks for it. Knows nothing of how a
world makes any of this.
"""

from dataclasses import dataclass
from enum import StrEnum, unique
from itertools import pairwise
from typing import Final

from wlbs.core.address import IpAddress, Mac, cluster_macs

SWITCH: Final = "s1"
TREE_SWITCHES: Final = ("s1", "s2", "s3")
"""One behind the other: what one of them learns, another may not."""
PREFIX_LENGTH: Final = 24
CLUSTER_VIP: Final = IpAddress.parse("10.9.0.100")

STRANGER_ADDRESS: Final = IpAddress.parse("10.9.0.250")

HOST_COUNT_MAX: Final = 64
CLIENT_COUNT_MAX: Final = 49
"""Clients are numbered from 201 up in the last octet, so that they fit below the stranger."""

ADDRESSES_PER_CLIENT_MAX: Final = 254
"""What a /24 leaves without its first and last address."""


@unique
class Shape(StrEnum):
    """What lies between the nodes."""

    SWITCH = "switch"
    """One switch that learns."""
    HUB = "hub"
    """One device that learns nothing: every frame goes everywhere."""
    TREE = "tree"
    """Three switches that learn, in a row; nodes of each kind sit at them in turn."""
    SNOOPING = "snooping"
    """One switch that listens to IGMP and asks (RFC 4541): frames to a group go to its members."""
    BLOCKING = "blocking"
    """One switch that does not flood unknown unicast to the hosts' ports."""


@dataclass(frozen=True, slots=True)
class Node:
    """Somebody on the segment: its name, its number, its addresses, and the switch it is at."""

    name: str
    number: int
    address: IpAddress
    mac: Mac
    switch: str = SWITCH


@dataclass(frozen=True, slots=True)
class Topology:
    """The hosts and clients of a segment, and its shape."""

    host_count: int = 3
    client_count: int = 2
    shape: Shape = Shape.SWITCH
    stranger: bool = False
    """Whether a node is there that is neither host nor client: it sends what it likes."""

    def __post_init__(self) -> None:
        """Refuse numbers the address plan cannot hold; the command line checks what is typed."""
        assert 1 <= self.host_count <= HOST_COUNT_MAX, f"{self.host_count} hosts"
        assert 1 <= self.client_count <= CLIENT_COUNT_MAX, f"{self.client_count} clients"

    @property
    def hosts(self) -> tuple[Node, ...]:
        """The hosts, the one of highest priority first."""
        return tuple(
            Node(f"h{n}", n, IpAddress.parse(f"10.9.0.{n}"), _mac(1, n), self._switch_of(n))
            for n in range(1, self.host_count + 1)
        )

    @property
    def clients(self) -> tuple[Node, ...]:
        """The clients."""
        return tuple(
            Node(f"c{n}", n, IpAddress.parse(f"10.9.0.{200 + n}"), _mac(2, n), self._switch_of(n))
            for n in range(1, self.client_count + 1)
        )

    @property
    def strangers(self) -> tuple[Node, ...]:
        """Who is neither host nor client: one node, or nobody."""
        return (Node("x1", 1, STRANGER_ADDRESS, _mac(3, 1)),) if self.stranger else ()

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Everybody with an address on the segment."""
        return (*self.hosts, *self.clients, *self.strangers)

    @property
    def switches(self) -> tuple[str, ...]:
        """The switches, each connected to the next."""
        return TREE_SWITCHES if self.shape is Shape.TREE else (SWITCH,)

    @property
    def trunks(self) -> tuple[tuple[str, str], ...]:
        """The links between switches: each end's port is named after the other end."""
        return tuple(pairwise(self.switches))

    def node(self, name: str) -> Node:
        """Return the node of this name; KeyError if there is none."""
        return {each.name: each for each in self.nodes}[name]

    def ports(self, switch: str) -> tuple[str, ...]:
        """Return the ports of a switch: who is connected to it, and the switches beside it."""
        nodes = tuple(each.name for each in self.nodes if each.switch == switch)
        beside = (each for trunk in self.trunks if switch in trunk for each in trunk)
        return (*nodes, *(each for each in beside if each != switch))

    @property
    def vip(self) -> IpAddress:
        """The cluster's one virtual IP address."""
        return CLUSTER_VIP

    @property
    def vmac(self) -> Mac:
        """The cluster's virtual MAC address."""
        return cluster_macs(self.vip).unicast

    def _switch_of(self, number: int) -> str:
        return self.switches[(number - 1) % len(self.switches)]


def network_behind(client: Node) -> str:
    """Return the network routed through a client, as ``ip route`` takes it."""
    return f"10.9.{100 + client.number}.0/{PREFIX_LENGTH}"


def address_behind(client: Node, number: int) -> IpAddress:
    """Return one address behind a client, counted from 1."""
    assert 1 <= number <= ADDRESSES_PER_CLIENT_MAX, f"address {number}"
    return IpAddress.parse(f"10.9.{100 + client.number}.{number}")


def _mac(kind: int, number: int) -> Mac:
    return Mac(bytes((0x06, 0, 0, 0, kind, number)))
