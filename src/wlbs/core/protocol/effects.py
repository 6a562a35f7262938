# SPDX-License-Identifier: Apache-2.0
"""Everything a member can ask for, as frozen values named by imperatives.

They are carried out in the order they are given: a table is installed before a heartbeat says so.
Knows nothing of how it is done: the agent's driver and the simulator carry effects out, each in
its own world.
"""

from dataclasses import dataclass
from enum import StrEnum, unique

from wlbs.core.address import IpAddress
from wlbs.core.protocol.diagnosing import Finding
from wlbs.core.protocol.events import Instant
from wlbs.core.protocol.refusal import Refusal
from wlbs.core.rules import HostIndex
from wlbs.core.sighting import Bypasser, Sighting
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


@unique
class HealingStep(StrEnum):
    """What is done about a VMAC that switches have learned."""

    PULL = "pull"
    """Send from the VMAC, so that a stranger's port does not get the cluster's frames."""
    RELAY = "relay"
    """Receive for all, and send on what is the others'."""
    BOUNCE = "bounce"
    """Take the link down once, so that switches forget what they learned at its port."""
    END = "end"
    """The segment floods again: every host takes its frames from it."""


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
class SendDelivery:
    """Send this as the payload of a frame of ethertype 0x886F to the VMAC."""

    data: bytes


@dataclass(frozen=True, slots=True)
class CountDeliveries:
    """Say what the data path has counted of delivery probes, by `DeliveriesCounted`."""


@dataclass(frozen=True, slots=True)
class FindBypassers:
    """Look for processes that can send past the guard; `BypassersFound` says which."""


@dataclass(frozen=True, slots=True)
class SendPull:
    """Broadcast this in a frame of ethertype 0x886F *from* the VMAC, past the guard.

    Switches then send the cluster's frames to this host's port: the one deliberate exception.
    """

    data: bytes


@dataclass(frozen=True, slots=True)
class BounceLink:
    """Take this host's own link down and up: switches forget what they learned at its port."""


@dataclass(frozen=True, slots=True)
class ReportCapture:
    """Tell the operator how frames for the VMAC travel now, whose port has them, and why.

    ``receiver`` is who relays, if anybody does.
    """

    finding: Finding
    captor: HostIndex | None
    receiver: HostIndex | None
    because: str


@dataclass(frozen=True, slots=True)
class ReportSighting:
    """Tell the operator of frames from the VMAC; once for each kind and sender, not per frame."""

    sighting: Sighting
    seen: str
    """The same in words."""


@dataclass(frozen=True, slots=True)
class ReportBypassers:
    """Tell the operator who could have sent what captured the VMAC at this host's port."""

    bypassers: tuple[Bypasser, ...]
    seen: str
    """The same in words; it says so if there is nobody."""


@dataclass(frozen=True, slots=True)
class ReportHealing:
    """Tell the operator what is done about a captured VMAC, and why."""

    step: HealingStep
    because: str


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
    | SendDelivery
    | CountDeliveries
    | FindBypassers
    | SendPull
    | BounceLink
    | ReportCapture
    | ReportHealing
    | ReportSighting
    | ReportBypassers
    | ReportState
    | ReportMembership
    | ReportRefusal
    | Refuse
)
