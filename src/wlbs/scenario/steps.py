# SPDX-License-Identifier: Apache-2.0
"""What a scenario is made of: steps to carry out and expectations to judge by, as values.

Steps are imperatives; each may bear a ``label`` by which expectations refer to the moment it was
carried out. Knows nothing of who carries them out: the same script runs in any world.
"""

from dataclasses import dataclass
from enum import StrEnum, unique

from wlbs.scenario.expectations import Expects
from wlbs.scenario.setup import ORDINARY, Setup
from wlbs.scenario.topology import Topology


@unique
class Spread(StrEnum):
    """What differs between the flows of one batch."""

    PORTS = "ports"
    """Source ports, drawn from the seed: each client speaks from one address."""
    ADDRESSES = "addresses"
    """Client addresses, each used once."""


@unique
class Traffic(StrEnum):
    """Which frames a cut concerns."""

    ALL = "all"
    HEARTBEATS = "heartbeats"
    """Ethertype 0x886F, which a filter may know nothing of (812870); not the liveness probes, which
    travel as IP like the clients' frames."""
    CLUSTER = "cluster"
    """Frames addressed to the VMAC, and ARP: what clients send."""
    ANSWERS = "answers"
    """TCP to the VMAC that is no bare SYN: what clients send once a host has answered their SYN."""


@dataclass(frozen=True, slots=True)
class SendFlows:
    """Clients open ``count`` connections to a port of the virtual IP, one request in each.

    With ``aimed_at`` all fall into buckets of one host, as in `BeginAttempts`.
    """

    batch: str
    server_port: int
    count: int
    spread: Spread
    aimed_at: str | None = None


@dataclass(frozen=True, slots=True)
class SendAgain:
    """Clients open connections once more from the very port pairs of an earlier batch.

    That batch was sent, or opened to last and is over.
    """

    batch: str
    of: str


@dataclass(frozen=True, slots=True)
class OpenConnections:
    """Clients open ``count`` long-lived connections, each transferring something again and again.

    They stay open until `CloseConnections`, or the end of the run. ``aimed_at`` is as in
    `SendFlows`.
    """

    batch: str
    server_port: int
    count: int
    aimed_at: str | None = None


@dataclass(frozen=True, slots=True)
class CloseConnections:
    """Clients close their long-lived connections of a batch: those to ``host``, or all."""

    batch: str
    host: str | None = None
    label: str = ""


@dataclass(frozen=True, slots=True)
class Vanish:
    """Clients lose all memory of a batch's long-lived connections, as in a power cut.

    The hosts are told nothing. Each connection is idle at that moment.
    """

    batch: str


@dataclass(frozen=True, slots=True)
class Visit:
    """Every host and client opens a connection to each other host's own address.

    What the cluster is must not keep hosts from each other (Q197864, Q238524).
    """

    batch: str


@dataclass(frozen=True, slots=True)
class BeginAttempts:
    """Clients begin to open a new connection every ``interval_s``, one request in each.

    With ``aimed_at`` they use source ports that fall into buckets this host owns while all hosts of
    the topology are present, by the reference filter. Each attempt is made whatever became of the
    one before.
    """

    batch: str
    server_port: int
    interval_s: float
    aimed_at: str | None = None


@dataclass(frozen=True, slots=True)
class EndAttempts:
    """Clients stop opening connections of this batch and see those under way to their end."""

    batch: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Let the world go on for so long, and for a part of ``drawn_s`` that the seed decides.

    The drawn part makes what follows hit heartbeats in every phase, run after run.
    """

    seconds: float
    drawn_s: float = 0.0
    label: str = ""


@dataclass(frozen=True, slots=True)
class Cut:
    """The switch drops matching frames that come in at one port and go out at another.

    ``None`` stands for every port. Carrier stays up. Cuts add up until `Heal`.
    """

    sender: str | None
    receiver: str | None
    traffic: Traffic = Traffic.ALL
    label: str = ""


@dataclass(frozen=True, slots=True)
class Heal:
    """The switch forwards everything again."""

    label: str = ""


@dataclass(frozen=True, slots=True)
class SetCarrier:
    """The link between a host and the switch loses its carrier, or regains it."""

    host: str
    up: bool
    label: str = ""


@unique
class Deed(StrEnum):
    """What can be done to a host's agent, by an operator or by fate."""

    STALL = "stall"
    """SIGSTOP: the process stands still."""
    RESUME = "resume"
    """SIGCONT."""
    KILL = "kill"
    """kill -9: the process is gone, what it pinned stays."""
    BEGIN = "begin"
    """A new agent process begins; returns when it says it is ready."""
    END = "end"
    """SIGTERM: drainstop with its timeout, then everything is undone; returns when it has ended."""
    START = "start"
    """``wlbs start``: the operator lets the host take part."""
    STOP = "stop"
    """``wlbs stop``: the host leaves at once, its connections are cut."""
    DRAINSTOP = "drainstop"
    """``wlbs drainstop``: the host takes nothing new and stops when its last connection ends."""


@dataclass(frozen=True, slots=True)
class Do:
    """Something is done to a host's agent."""

    deed: Deed
    host: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class AwaitStopped:
    """Go on when a host has stopped or its agent has ended, at the latest after ``seconds``."""

    host: str
    seconds: float
    label: str = ""


@dataclass(frozen=True, slots=True)
class AwaitHolders:
    """Go on when these hosts hold each bucket once among them, at the latest after ``seconds``.

    With ``unflagged`` also no bucket of theirs may be flagged. By the tables in force, whatever
    agents say.
    """

    hosts: tuple[str, ...]
    seconds: float
    label: str = ""
    unflagged: bool = False


@dataclass(frozen=True, slots=True)
class SendCookies:
    """A host answers every SYN by a SYN cookie, as under a flood of them; or no host does any more.

    Meanwhile no other host knows its cookies from any number: secrets differ from machine to
    machine.
    """

    host: str | None


@dataclass(frozen=True, slots=True)
class Occupy:
    """Other programs keep every processor of the hosts busy, or no longer."""

    busy: bool


@unique
class Leaked(StrEnum):
    """What is sent with the VMAC as its source."""

    BROADCAST = "broadcast"
    """A frame to everybody, of an ethertype that nobody answers."""
    UNICAST = "unicast"
    """The same to one node: only the switches on the way learn."""
    ANNOUNCEMENT = "announcement"
    """An LLC frame to a group, as Network Monitor sends while it captures (Q258609)."""
    RARP = "rarp"
    """A request to everybody, as a hypervisor sends for a guest's address (VMware 1556)."""


@unique
class Way(StrEnum):
    """Where on its node a frame is sent."""

    ABOVE = "above"
    """Through the guard, like everything that a program sends."""
    BELOW = "below"
    """Past the guard, like what is bound below it: ``PACKET_QDISC_BYPASS``."""
    UNDER = "under"
    """Under the host, by its hypervisor or firmware: the host sees nothing of it."""


@dataclass(frozen=True, slots=True)
class SendFrom:
    """A node sends ``count`` frames with the VMAC as their source, one every ``interval_s``.

    Goes on with the next step once the first of them has been seen at the node's port. ``to`` is
    who gets a `Leaked.UNICAST`. A node without a guard knows no difference between above and below.

    With ``as_device`` the source is what the node's interface gives as its own address, as senders
    of raw frames ask for it: the VMAC in mode unicast, the station's own in all others.
    """

    node: str
    kind: Leaked = Leaked.BROADCAST
    way: Way = Way.ABOVE
    count: int = 1
    interval_s: float = 0.1
    to: str | None = None
    label: str = ""
    as_device: bool = False


@dataclass(frozen=True, slots=True)
class StopSending:
    """A node sends no further frame that it was told to send; what it has sent stays sent."""

    node: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class SetAgeing:
    """Switches forget an address that they have not seen for so long; None: as they came, 300 s."""

    seconds: float | None
    label: str = ""


@dataclass(frozen=True, slots=True)
class LimitFlooding:
    """Storm control: switches flood so many frames a second of each port; None: any number.

    What is above the limit is dropped. A frame counts as flooded if it is to everybody, to a group
    or to the VMAC.
    """

    frames_per_s: int | None
    label: str = ""


Step = (
    SendFlows
    | SendAgain
    | OpenConnections
    | CloseConnections
    | Vanish
    | Visit
    | BeginAttempts
    | EndAttempts
    | Wait
    | Cut
    | Heal
    | SetCarrier
    | Do
    | AwaitStopped
    | AwaitHolders
    | SendCookies
    | Occupy
    | SendFrom
    | StopSending
    | SetAgeing
    | LimitFlooding
)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A script: what happens in which topology, and what must hold."""

    name: str
    summary: str
    topology: Topology
    steps: tuple[Step, ...]
    expects: tuple[Expects, ...]
    setup: Setup = ORDINARY
