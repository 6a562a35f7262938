# SPDX-License-Identifier: Apache-2.0
"""What a scenario is made of: steps to carry out and expectations to judge by, as values.

Knows nothing of who carries them out. The same script runs in any world.
"""

from dataclasses import dataclass
from enum import StrEnum, unique

from wlbs.scenario.topology import Topology


@unique
class Spread(StrEnum):
    """What differs between the flows of one batch."""

    PORTS = "ports"
    """Source ports, drawn from the seed: each client speaks from one address."""
    ADDRESSES = "addresses"
    """Client addresses, each used once."""


@dataclass(frozen=True, slots=True)
class SendFlows:
    """Clients open ``count`` connections to a port of the virtual IP, one request in each."""

    batch: str
    server_port: int
    count: int
    spread: Spread


@dataclass(frozen=True, slots=True)
class Leak:
    """A program on a host sends a raw frame with the VMAC as its source."""

    host: str


Step = SendFlows | Leak


@dataclass(frozen=True, slots=True)
class FairShare:
    """Each host answers its equal share of a batch, give or take ``tolerance`` of the batch."""

    batch: str
    tolerance: float


@dataclass(frozen=True, slots=True)
class Scenario:
    """A script: what happens in which topology, and which shares are due.

    Everything else that is judged, `judge` judges of every scenario.
    """

    name: str
    summary: str
    topology: Topology
    steps: tuple[Step, ...]
    shares: tuple[FairShare, ...]
