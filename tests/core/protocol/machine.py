# SPDX-License-Identifier: Apache-2.0
"""One host on the bus: an agent, a data path, a clock, and a record of what became of them.

Knows what its member asked for and keeps it as values. Knows nothing of other machines.
"""

from itertools import count

from wlbs.core.address import BROADCAST, Mac
from wlbs.core.census import BUCKETS_PER_GROUP, Census
from wlbs.core.cluster import Cluster
from wlbs.core.protocol.effects import Effect, ReportRefusal, State
from wlbs.core.protocol.events import DeliveriesCounted, Event, Instant
from wlbs.core.protocol.member import Member
from wlbs.core.protocol.peers import RESET_AFTER_NS
from wlbs.core.protocol.shares import owned_by
from wlbs.core.protocol.speaking import Incarnation
from wlbs.core.rules import HostIndex
from wlbs.core.sighting import FrameKind, Sender, Sighting, Where
from wlbs.core.table import Buckets, FilterTable, Mark

_PPM = 1_000_000

_DIGITS = {
    mark: bytes(ord("1") if each & mark else ord("0") for each in range(256))
    for mark in (Mark.FLAGGED, Mark.EARLIER_HOLDER)
}
"""For each mark, a binary digit for each byte of marks: made once, tables come often."""


def _marked(buckets: Buckets, mark: Mark) -> int:
    """Return the set of the buckets that bear a mark."""
    return int(buckets.marks.translate(_DIGITS[mark])[::-1], 2)


class Machine:
    """One host; ``name`` is the bus's, so that two may have one priority."""

    def __init__(self, name: str, cluster: Cluster, priority: int, drift_ppm: int = 0) -> None:
        """Be off; `begin` switches it on."""
        self.name = name
        self.cluster = cluster
        self.index = HostIndex(priority - 1)
        self.address = cluster.host(self.index).dedicated_ip
        serial = 0x10 + priority if name == f"h{priority}" else 0x80 + priority
        self.mac = Mac(bytes((0x52, 0, 0, 0, 0, serial)))
        self._rate = _PPM + drift_ppm
        self._origin = priority * 1_000_000_007
        self._nonces = count(1_000)
        self.member: Member | None = None
        self.table: FilterTable
        self.owned: tuple[int, ...] = ()
        self.flagged: tuple[int, ...] = ()
        self.earlier: tuple[int, ...] = ()
        self.lease_until: Instant | None = None
        self.connections: set[tuple[int, int]] = set()
        self.is_up = self.has_carrier = True
        self.is_stalled = False
        self.has_witness = True
        """Whether its data path can tell who sent past the guard."""
        self.boot_nonce = 0
        self.arrived = [0] * (max(host.index for host in cluster.hosts) + 1)
        self.sightings: tuple[Sighting, ...] = ()
        self.pending: list[Event] = []
        self.armed_for: Instant | None = None
        self.heard: dict[str, Instant] = {}
        self.signs: dict[str, Instant] = {}
        self.sent_at: list[int] = []
        self.reports: list[tuple[int, Effect]] = []
        self.journal: list[tuple[int, Event, tuple[Effect, ...]]] = []

    def clock(self, now: int) -> Instant:
        """Return what this machine's clock shows."""
        return Instant(self._origin + now * self._rate // _PPM)

    def true_time(self, local: Instant) -> int:
        """Return when this machine's clock shows that."""
        return -((self._origin - local) * _PPM // self._rate)

    def begin(self, now: int, *, is_fresh: bool, boot_nonce: int | None) -> None:
        """Begin an agent; a fresh data path has a nonce of its own, no lease and no connection."""
        if is_fresh:
            self.boot_nonce = next(self._nonces) if boot_nonce is None else boot_nonce
            self.lease_until = None
            self.connections.clear()
            self.arrived = [0] * len(self.arrived)
        self.is_up, self.is_stalled, self.pending, self.armed_for = True, False, [], None
        self.heard.clear()
        incarnation = Incarnation(self.mac, self.boot_nonce, is_fresh=is_fresh)
        self.member = Member(self.cluster, self.index, incarnation, self.clock(now))
        if is_fresh:
            self.install(self.member.table)

    def crash(self) -> None:
        """Be gone."""
        self.member, self.lease_until, self.is_up = None, None, False
        self.connections.clear()

    def install(self, table: FilterTable) -> None:
        """Decide by a table; one that says stopped cuts the connections."""
        self.table = table
        self.owned = tuple(owned_by(each.owners, self.index) for each in table.buckets)
        self.flagged = tuple(_marked(each, Mark.FLAGGED) for each in table.buckets)
        self.earlier = tuple(_marked(each, Mark.EARLIER_HOLDER) for each in table.buckets)
        if table.is_stopped:
            self.connections.clear()

    def is_live(self, now: int) -> bool:
        """Whether the data path may take new flows."""
        return self.lease_until is not None and self.clock(now) < self.lease_until

    def hears(self, other: "Machine", now: int) -> bool:
        """Whether a heartbeat of the other came within the detection time, by this clock."""
        heard_at = self.heard.get(other.name)
        detection_ns = self.cluster.timing.detection_ns
        return heard_at is not None and self.clock(now) - heard_at < detection_ns

    def expects(self, other: "Machine", now: int) -> bool:
        """Whether something of the other came within the time after which it counts as gone."""
        return self.clock(now) - self.signs[other.name] < RESET_AFTER_NS

    def sight(self, where: Where, now: int) -> None:
        """See a frame from the VMAC: an LLC frame, as a network monitor announces itself."""
        at = self.clock(now)
        sender = Sender("netmon", 77, 1) if where is Where.BYPASSED else None
        kind = FrameKind(0, b"\xaa\xaa\x03")
        self.sightings += (Sighting(where, kind, BROADCAST, 1, at, at, sender),)

    def count_deliveries(self) -> DeliveriesCounted:
        """Say what was counted of delivery probes, and what has been seen since the last time."""
        seen, self.sightings = self.sightings, ()
        return DeliveriesCounted(tuple(self.arrived), seen, has_witness=self.has_witness)

    def count(self) -> Census:
        """Count the connections by the table in force."""
        foreign = [0] * len(self.owned)
        strangers = [at for at in sorted(self.connections) if not self.owned[at[0]] >> at[1] & 1]
        for rule, bucket in strangers:
            foreign[rule] |= 1 << bucket // BUCKETS_PER_GROUP
        return Census(tuple(foreign), len(self.connections), len(strangers))

    @property
    def busy(self) -> list[int]:
        """For each rule, the set of buckets in which it has connections."""
        busy = [0] * len(self.owned)
        for rule, bucket in sorted(self.connections):
            busy[rule] |= 1 << bucket
        return busy

    def mark(self, rule: int, bucket: int) -> Mark:
        """Return what is marked on a bucket."""
        return Mark(self.table.buckets[rule].marks[bucket])

    @property
    def state(self) -> State:
        """Where its member stands; a machine without an agent is asked in error."""
        assert self.member is not None, f"{self.name} has no agent"
        return self.member.state

    @property
    def flagged_count(self) -> int:
        """How many of the buckets it owns are flagged."""
        pairs = zip(self.owned, self.flagged, strict=True)
        return sum((owned & flagged).bit_count() for owned, flagged in pairs)

    @property
    def refusals(self) -> list[Effect]:
        """Which refusals it reported."""
        return self.told(ReportRefusal)

    def told(self, kind: type[Effect]) -> list[Effect]:
        """Return what it reported of one kind."""
        return [report for _, report in self.reports if isinstance(report, kind)]
