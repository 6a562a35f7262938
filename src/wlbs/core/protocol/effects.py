# SPDX-License-Identifier: Apache-2.0
"""Everything a member can ask for, as frozen values named by imperatives.

They are carried out in the order they are given: a table is installed before a heartbeat says so.
Knows nothing of how it is done: the agent's driver and the simulator carry effects out, each in
its own world.
"""

from dataclasses import dataclass
from enum import StrEnum

from wlbs.core.address import IpAddress
from wlbs.core.protocol.events import Instant
from wlbs.core.protocol.refusal import Refusal
from wlbs.core.rules import HostIndex
from wlbs.core.table import FilterTable


class State(StrEnum):
    """Where a member stands; the only legal moves are in `member.TRANSITIONS`."""

    STOPPED = "stopped"
    """Takes no part, by an operator's word; answers nothing for the cluster."""
    JOINING = "joining"
    """Listens for one detection time before it asks for its share."""
    CONVERGING = "converging"
    """Takes part; not all of its share is its own yet, or not all hosts agree."""
    CONVERGED = "converged"
    """Takes part; all hosts it counts agree, and its share is its own."""
    DRAINING = "draining"
    """Takes nothing new, finishes what it has, and then stops."""


@dataclass(frozen=True, slots=True)
class InstallTable:
    """Decide every frame from now on by this table."""

    table: FilterTable


@dataclass(frozen=True, slots=True)
class HoldLease:
    """Let the data path take new flows until this instant, and no longer, however late it is."""

    until: Instant


@dataclass(frozen=True, slots=True)
class EndLease:
    """Let the data path take no new flow from now on."""


@dataclass(frozen=True, slots=True)
class SendHeartbeat:
    """Broadcast this as the payload of a frame of ethertype 0x886F."""

    data: bytes


@dataclass(frozen=True, slots=True)
class SendProbe:
    """Send this datagram to a peer's dedicated IP, to the port of liveness probes."""

    to: IpAddress
    data: bytes


@dataclass(frozen=True, slots=True)
class CountConnections:
    """Count this host's connections by the table in force; `ConnectionsCounted` says the result."""


@dataclass(frozen=True, slots=True)
class ReportState:
    """Tell the operator that this member has moved, and why."""

    before: State
    after: State
    because: str


@dataclass(frozen=True, slots=True)
class ReportMembership:
    """Tell the operator which hosts now share the traffic, and why."""

    present: frozenset[HostIndex]
    because: str


@dataclass(frozen=True, slots=True)
class ReportRefusal:
    """Tell the operator whose heartbeats are refused, and why; once for each, not per frame."""

    refusal: Refusal
    who: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """Tell whoever asked that nothing was done, and why."""

    because: str


Effect = (
    InstallTable
    | HoldLease
    | EndLease
    | SendHeartbeat
    | SendProbe
    | CountConnections
    | ReportState
    | ReportMembership
    | ReportRefusal
    | Refuse
)
