# SPDX-License-Identifier: Apache-2.0
"""What was observed while a scenario ran, as values a judge can read.

Everything here is seen from outside the agents: by clients, at switch ports, in the switch's
table, in clients' neighbour tables, in service logs, in the kernel's counters. Knows nothing of
how it was observed or of what should hold.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum, unique

from wlbs.core.address import IpAddress, Mac
from wlbs.scenario.topology import SWITCH


@unique
class Direction(StrEnum):
    """Which way a frame went at a switch port, as the switch sees it."""

    FROM_NODE = "in"
    TO_NODE = "out"


@unique
class Failure(StrEnum):
    """How a connection fails, as its client sees it; an ``error`` begins with one of these."""

    REFUSED = "refused"
    """A reset in answer to the SYN."""
    RESET = "reset"
    """A reset of a connection that was open."""
    SILENT = "no answer"
    """Nothing came for longer than the client's patience."""
    CLOSED = "closed"
    """The other side closed before it had answered."""
    OTHER = "failed"
    """The client's own system said no; what it said follows."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One connection a client tried; ``answered_by`` is None where it failed, with ``error``."""

    batch: str
    at_s: float
    client: str
    source: IpAddress
    source_port: int
    server_port: int
    answered_by: str | None
    error: str = ""
    to_vip: bool = True
    """Whether it was made to the virtual IP, and not to a host's own address."""


@dataclass(frozen=True, slots=True)
class Connection:
    """One long-lived connection as its client saw it; ``error`` is empty unless it broke.

    ``transfer_count`` counts answers; ``last_transfer_s`` is when the last one was complete. A
    connection that got no answer for longer than the client's patience counts as broken.
    """

    batch: str
    client: str
    source: IpAddress
    source_port: int
    server_port: int
    opened_s: float
    answered_by: str | None
    transfer_count: int
    last_transfer_s: float
    closed_s: float | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Moment:
    """When a labelled step came; ``held`` is False if it waited in vain.

    What is done (a cut, a stall) counts from its beginning, what is waited for from its end.
    """

    label: str
    at_s: float
    held: bool = True


@dataclass(frozen=True, slots=True)
class Holding:
    """The buckets of one rule in the filter table of one host's kernel at the end of a run.

    A host whose data path is gone by then has none.

    ``owned`` has one bit for each bucket that the host owns; rules count as in the configuration,
    the default rule last.
    """

    host: str
    rule: int
    owned: int
    flagged_count: int


@dataclass(frozen=True, slots=True)
class SeenFrame:
    """One frame at one switch port: a node's, never a trunk's."""

    at_s: float
    port: str
    direction: Direction
    data: bytes


@dataclass(frozen=True, slots=True)
class BridgeEntry:
    """A MAC address that a switch held for one of its ports, from when until when.

    A trunk's port has the other switch's name. An entry that moves to another port ends there and
    begins anew; ``gone_s`` is None for one that was held to the end.
    """

    at_s: float
    mac: Mac
    port: str
    switch: str = SWITCH
    gone_s: float | None = None

    def held_at(self, at_s: float) -> bool:
        """Tell whether the switch held it at a moment."""
        return self.at_s <= at_s and (self.gone_s is None or at_s < self.gone_s)


@dataclass(frozen=True, slots=True)
class NeighbourEntry:
    """A hardware address a client held for an IP address at some moment."""

    at_s: float
    client: str
    address: IpAddress
    mac: Mac


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line of a host's service log."""

    host: str
    source: IpAddress
    source_port: int
    server_port: int


@dataclass(frozen=True, slots=True)
class Said:
    """One line of a host's agent for its operator: ``event`` is what it is about.

    The only evidence that comes from inside. No expectation about the service asks for it; those
    that do judge whether the operator was told the truth.
    """

    at_s: float
    host: str
    event: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that was observed in one run; ``counters`` counts frames by reason for each host.

    ``frames_lost_count`` counts what the captures missed: above zero they prove nothing.
    """

    attempts: tuple[Attempt, ...] = ()
    connections: tuple[Connection, ...] = ()
    moments: tuple[Moment, ...] = ()
    holdings: tuple[Holding, ...] = ()
    nonces: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """The boot nonces each host has had, in their order."""
    frames: tuple[SeenFrame, ...] = ()
    bridge_entries: tuple[BridgeEntry, ...] = ()
    neighbours: tuple[NeighbourEntry, ...] = ()
    log: tuple[LogEntry, ...] = ()
    counters: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    kept: tuple[SeenFrame, ...] = ()
    """What each host's filter handed to its stack of the TCP segments to the virtual IP.

    The ports are those of the hosts, the direction is to the node.
    """
    frames_lost_count: int = 0
    said: tuple[Said, ...] = ()
