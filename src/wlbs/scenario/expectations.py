# SPDX-License-Identifier: Apache-2.0
"""What a scenario expects, as values; `judge` says of each whether it held.

Moments are named by the labels of steps. Everything is judged from outside, on what was captured at
the switch's ports, said by clients and services, and read from the kernel. Knows nothing of how it
is judged.
"""

from dataclasses import dataclass
from enum import StrEnum, unique

from wlbs.core.protocol.diagnosing import Finding
from wlbs.core.reason import Reason


@unique
class Holds(StrEnum):
    """What holds of a whole run, or not."""

    CAPTURES_COMPLETE = "the captures at the switch ports are complete"
    ALL_ANSWERED = "every connection is answered"
    LOGS_AGREE = "service logs and clients' answers agree"
    COUNTERS_AGREE = "kernel counters agree with the frames of the flows each host answered"
    VMAC_UNLEARNED = "the switch never learns the cluster's MAC"
    VMAC_UNSENT = "no frame is sent with the cluster's MAC as its source"
    ARP_TRUE = "every ARP answer has the cluster's MAC inside and a station's outside"
    ARP_ONCE = "each ARP request for the virtual IP is answered exactly once"
    SYN_ONCE = "each SYN is answered by exactly one host"
    NEVER_TWO_OWNERS = "no connection is ever answered by two hosts"
    NO_RESET = "no connection is reset"
    NO_HOST_RESET = "no host resets a connection"
    KEPT_ONCE = "no frame is kept by two hosts"
    COUNTED_ONCE = "the kernels together count no more frames kept than were sent"
    SENT_THRICE = "no frame is on the wire more than three times"
    """As its client sent it, from the receiver to the owner, and on to who had it before."""
    OWN_ARP_TRUE = "every host's own ARP names the address that all it sends shows"
    SENT_ONCE = "no node sends a packet that another has sent"
    NEIGHBOURS_TRUE = "no client ever holds a station's MAC for the virtual IP"


@dataclass(frozen=True, slots=True)
class Visited:
    """Every visitor of the batch was answered by each other host."""

    batch: str


@dataclass(frozen=True, slots=True)
class Bystanders:
    """Of the frames sent to the cluster no more than this part comes to ports without a host.

    Judged at strangers, who send nothing; ``bystander_share``, the worst, is a figure of the run.
    """

    share_max: float


@dataclass(frozen=True, slots=True)
class FairShare:
    """Each host answers its equal share of a batch, give or take ``tolerance`` of the batch."""

    batch: str
    tolerance: float


@dataclass(frozen=True, slots=True)
class TakenOver:
    """From the labelled moment on, the batch's attempts fail until some succeed again.

    ``gap_ms`` runs from the moment to the start of the first attempt that another host than the one
    aimed at answers on its first SYN; it is a figure of the run, and must not exceed
    ``gap_ms_max``. Nothing is shown unless an attempt before failed, or needed a second SYN.
    """

    batch: str
    after: str
    gap_ms_max: float


@dataclass(frozen=True, slots=True)
class Unbroken:
    """No long-lived connection of the batch is reset, refused or hangs.

    Those to ``lost_host``, if one is named, are not judged.
    """

    batch: str
    lost_host: str | None = None


@dataclass(frozen=True, slots=True)
class NoneBroken:
    """No attempt of the batch is refused, reset or fails otherwise; a retransmitted SYN is fine."""

    batch: str


@dataclass(frozen=True, slots=True)
class NothingNewAt:
    """A host answers no attempt that began later than ``within_s`` after the moment.

    Judged until the label ``until``, or the end of the run.
    """

    host: str
    after: str
    within_s: float
    until: str = ""


@dataclass(frozen=True, slots=True)
class Follows:
    """The moment ``then`` comes at most ``within_s`` after the moment ``after``.

    With ``figure`` the longest time of all that bear this name is a figure of the run.
    """

    after: str
    then: str
    within_s: float
    figure: str = ""


@dataclass(frozen=True, slots=True)
class TableExact:
    """At the end the hosts named hold every bucket once, none off its quota by more than one.

    Read from the filter tables in the hosts' kernels.
    """

    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FlagsGone:
    """At the end no host's kernel holds a flagged bucket."""


@dataclass(frozen=True, slots=True)
class LeaseMargin:
    """The first new flow kept in a bucket taken over from a host comes after its last.

    Judged on the attempts aimed at the host. ``lease_margin_ms`` is a figure of the run: first kept
    by a new owner after the labelled moment, minus last kept by the old one before the moment
    ``until``, by which it may have come back.
    """

    host: str
    after: str
    until: str = ""


@dataclass(frozen=True, slots=True)
class NonceChanged:
    """The host's boot nonce at the end is another than at the beginning."""

    host: str


@dataclass(frozen=True, slots=True)
class KeptAs:
    """A host's kernel has counted frames as kept for this reason: what is to be shown happened."""

    host: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class OpenedTwice:
    """Some SYN of the batch was sent again and kept by another host: two hosts know the flow."""

    batch: str


@dataclass(frozen=True, slots=True)
class FinishedLate:
    """A host finishes handshakes of the batch after the moment that it began before it."""

    batch: str
    host: str
    after: str


@dataclass(frozen=True, slots=True)
class Learned:
    """At some time from the moment on a switch takes the VMAC for an address behind a node's port.

    Judged until the label ``until``, or the end of the run.
    """

    node: str
    after: str
    until: str = ""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """From ``within_s`` after the moment on no switch knows a port for the VMAC."""

    after: str
    within_s: float
    until: str = ""


@dataclass(frozen=True, slots=True)
class Served:
    """From ``within_s`` after the moment on each new attempt is answered on its first SYN."""

    batch: str
    after: str
    within_s: float = 0.0
    until: str = ""


@dataclass(frozen=True, slots=True)
class Unserved:
    """From ``within_s`` after the moment on no new attempt is answered on its first SYN."""

    batch: str
    after: str
    within_s: float = 0.0
    until: str = ""


@dataclass(frozen=True, slots=True)
class CutOff:
    """From the moment on no new attempt is answered on its first SYN, and some time again all are.

    ``cut_off_ms_…`` with the batch's name is a figure of the run: from the first attempt that
    failed to the first after the last that did. Unlike `Unserved` it says when it ends: at the
    latest ``within_s`` after the moment ``cured``.
    """

    batch: str
    after: str
    cured: str
    within_s: float


@dataclass(frozen=True, slots=True)
class Announced:
    """A host's monitor is heard on the wire: from the VMAC, or from the station's own address."""

    host: str
    after: str
    from_vmac: bool


@dataclass(frozen=True, slots=True)
class Relayed:
    """A capture is relayed around: attempts fail for a while, and then no more.

    ``relay_ms`` runs from the moment a switch learned the VMAC at the captor's port to the start of
    the first of a row of attempts, of all these batches, that are all answered on their first SYN
    until ``until``; it is a figure of the run and must not exceed ``relay_ms_max``. Nothing is
    shown unless an attempt failed, or needed a second SYN.
    """

    batches: tuple[str, ...]
    captor: str
    after: str
    relay_ms_max: float
    until: str = ""


@dataclass(frozen=True, slots=True)
class ArrivesMasked:
    """Each frame that a host is told to send from the VMAC is on the wire, its source masked."""

    host: str


@dataclass(frozen=True, slots=True)
class Names:
    """Some agent says within ``within_s`` of the moment how frames travel, and whose port has them.

    ``captor`` is None where no host's port has. Until ``until`` no agent names another. Without
    a moment anything counts that was said since agents began.
    """

    finding: Finding
    captor: str | None
    after: str
    within_s: float
    until: str = ""


@dataclass(frozen=True, slots=True)
class Tells:
    """A host's agent says within ``within_s`` of the moment a line in which all these words are."""

    host: str
    words: tuple[str, ...]
    after: str
    within_s: float


Expects = (
    Holds
    | FairShare
    | Visited
    | Bystanders
    | TakenOver
    | Unbroken
    | NoneBroken
    | NothingNewAt
    | Follows
    | TableExact
    | FlagsGone
    | LeaseMargin
    | NonceChanged
    | KeptAs
    | OpenedTwice
    | FinishedLate
    | Learned
    | Forgotten
    | Served
    | Unserved
    | CutOff
    | Announced
    | Relayed
    | ArrivesMasked
    | Names
    | Tells
)
