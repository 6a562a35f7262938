# SPDX-License-Identifier: Apache-2.0
"""Who is in a scenario and under which names and addresses, so guessable that one types them.

Host ``hN`` has 10.9.0.N and 06:00:00:00:01:NN, client ``cN`` 10.9.0.(200+N) and
06:00:00:00:02:NN; they meet at switch ``s1``. Behind each client lies a network
10.9.(100+N).0/24, so that one client can speak from many addresses. Knows nothing of how a world
makes any of this.
"""

from dataclasses import dataclass
from typing import Final

from wlbs.core.address import IpAddress, Mac, cluster_macs

SWITCH: Final = "s1"
PREFIX_LENGTH: Final = 24
CLUSTER_VIP: Final = IpAddress.parse("10.9.0.100")

HOST_COUNT_MAX: Final = 64
CLIENT_COUNT_MAX: Final = 50
"""Clients are numbered from 201 up in the last octet, so that they fit below 255."""

ADDRESSES_PER_CLIENT_MAX: Final = 254
"""What a /24 leaves without its first and last address."""


@dataclass(frozen=True, slots=True)
class Node:
    """A host or a client: its name, its number, and its addresses on the segment."""

    name: str
    number: int
    address: IpAddress
    mac: Mac


@dataclass(frozen=True, slots=True)
class Topology:
    """The hosts and clients at one switch."""

    host_count: int = 3
    client_count: int = 2

    def __post_init__(self) -> None:
        """Refuse numbers the address plan cannot hold; the command line checks what is typed."""
        assert 1 <= self.host_count <= HOST_COUNT_MAX, f"{self.host_count} hosts"
        assert 1 <= self.client_count <= CLIENT_COUNT_MAX, f"{self.client_count} clients"

    @property
    def hosts(self) -> tuple[Node, ...]:
        """The hosts, the one of highest priority first."""
        return tuple(
            Node(f"h{n}", n, IpAddress.parse(f"10.9.0.{n}"), _mac(1, n))
            for n in range(1, self.host_count + 1)
        )

    @property
    def clients(self) -> tuple[Node, ...]:
        """The clients."""
        return tuple(
            Node(f"c{n}", n, IpAddress.parse(f"10.9.0.{200 + n}"), _mac(2, n))
            for n in range(1, self.client_count + 1)
        )

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Everybody with an address on the segment."""
        return (*self.hosts, *self.clients)

    @property
    def vip(self) -> IpAddress:
        """The cluster's one virtual IP address."""
        return CLUSTER_VIP

    @property
    def vmac(self) -> Mac:
        """The cluster's virtual MAC address."""
        return cluster_macs(self.vip).unicast


def network_behind(client: Node) -> str:
    """Return the network routed through a client, as ``ip route`` takes it."""
    return f"10.9.{100 + client.number}.0/{PREFIX_LENGTH}"


def address_behind(client: Node, number: int) -> IpAddress:
    """Return one address behind a client, counted from 1."""
    assert 1 <= number <= ADDRESSES_PER_CLIENT_MAX, f"address {number}"
    return IpAddress.parse(f"10.9.{100 + client.number}.{number}")


def _mac(kind: int, number: int) -> Mac:
    return Mac(bytes((0x06, 0, 0, 0, kind, number)))
