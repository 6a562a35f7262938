# SPDX-License-Identifier: Apache-2.0
"""Everything that can happen to a member, as frozen values named by past participles.

Knows no cause and no consequence: the driver makes events of what it sees, `member` decides. What
came from the wire is in an event as it came, octet by octet; the member reads it.
"""

from dataclasses import dataclass

from wlbs.core import instant
from wlbs.core.address import Mac
from wlbs.core.census import Census
from wlbs.core.sighting import Bypasser, Sighting

Instant = instant.Instant


@dataclass(frozen=True, slots=True)
class TimerFired:
    """The caller's clock reached ``deadline``; too early or too often is harmless."""


@dataclass(frozen=True, slots=True)
class HeartbeatReceived:
    """A frame of ethertype 0x886F arrived; ``data`` is what follows the Ethernet header."""

    source: Mac
    data: bytes


@dataclass(frozen=True, slots=True)
class ProbeAnswered:
    """A datagram arrived at the socket from which liveness probes are sent."""

    data: bytes


@dataclass(frozen=True, slots=True)
class ConnectionsCounted:
    """The data path has counted this host's connections, as `CountConnections` asked."""

    census: Census


@dataclass(frozen=True, slots=True)
class DeliveriesCounted:
    """The data path has said what it counted, as `CountDeliveries` asked.

    ``arrived`` has, for each host's index, how many of its delivery probes have arrived in all;
    ``sightings`` are of frames from the VMAC, those that are new or have grown since it was last
    asked. Without a witness it is not seen who sends past the guard.
    """

    arrived: tuple[int, ...]
    sightings: tuple[Sighting, ...] = ()
    has_witness: bool = True


@dataclass(frozen=True, slots=True)
class BypassersFound:
    """It has been looked for who can send past the guard, as `FindBypassers` asked."""

    bypassers: tuple[Bypasser, ...]


@dataclass(frozen=True, slots=True)
class CarrierChanged:
    """The cluster's interface has lost its carrier, or regained it."""

    up: bool


@dataclass(frozen=True, slots=True)
class StartRequested:
    """An operator said that this host is to take part."""


@dataclass(frozen=True, slots=True)
class StopRequested:
    """An operator said that this host is to leave at once; its connections are cut."""


@dataclass(frozen=True, slots=True)
class DrainstopRequested:
    """An operator said that this host is to take nothing new, and to stop after its last."""


Event = (
    TimerFired
    | HeartbeatReceived
    | ProbeAnswered
    | ConnectionsCounted
    | DeliveriesCounted
    | BypassersFound
    | CarrierChanged
    | StartRequested
    | StopRequested
    | DrainstopRequested
)
