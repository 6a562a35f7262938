# SPDX-License-Identifier: Apache-2.0
"""The filter table: everything a host's filter decides by, as one value that is swapped as one.

Knows the shape of the table and what its fields mean. Knows nothing of how it is computed
(`member`), used (`filter`, `guard`) or laid out in a kernel map (`datapath.layout`).
"""

from dataclasses import dataclass
from enum import IntFlag
from typing import Final

from wlbs.core.address import IpAddress, Mac
from wlbs.core.buckets import BUCKET_COUNT, BucketIndex, HashKey
from wlbs.core.rules import DEFAULT_RULE, HostIndex, PortRule, RuleIndex

NOBODY: Final = HostIndex(0xFF)
"""The owner of a bucket that no host takes."""

VIP_COUNT_MAX: Final = 32


class Mark(IntFlag):
    """What else a host must know of a bucket."""

    FLAGGED = 1
    """The bucket has changed hands: a TCP segment is kept by the host whose socket claims it."""
    EARLIER_HOLDER = 2
    """This host held the bucket before and may still have connections and SYN cookies out."""


NO_MARKS: Final = Mark(0)

NEXT_SHIFT: Final = 2
"""The upper six bits of a bucket's octet of marks name the next holder; hosts are 64 at most."""

MARKS_MASK: Final = (1 << NEXT_SHIFT) - 1

_IS_FLAGGED: Final = bytes(int(bool(octet & Mark.FLAGGED)) for octet in range(256))


@dataclass(frozen=True, slots=True)
class Bucket:
    """One bucket as its host sees it."""

    owner: HostIndex
    marks: Mark = NO_MARKS
    next_holder: HostIndex = NOBODY
    """Who is asked next, of a flagged bucket, while frames are relayed; the host itself: nobody."""


@dataclass(frozen=True, slots=True)
class Buckets:
    """The buckets of one rule; ``owners`` and ``marks`` hold one byte for each bucket.

    A byte of ``marks`` is a `Mark` and, from `NEXT_SHIFT` on, the next holder.
    """

    owners: bytes
    marks: bytes = bytes(BUCKET_COUNT)

    def __post_init__(self) -> None:
        """Refuse another count: a programmer's error."""
        assert len(self.owners) == BUCKET_COUNT, f"{len(self.owners)} owners"
        assert len(self.marks) == BUCKET_COUNT, f"{len(self.marks)} marks"

    def __getitem__(self, index: BucketIndex) -> Bucket:
        """Return one bucket."""
        octet = self.marks[index]
        marks = Mark(octet & MARKS_MASK)
        return Bucket(HostIndex(self.owners[index]), marks, HostIndex(octet >> NEXT_SHIFT))

    @property
    def flagged_count(self) -> int:
        """How many are flagged, by this host's marks."""
        return self.marks.translate(_IS_FLAGGED).count(1)


@dataclass(frozen=True, slots=True)
class Vip:
    """A virtual IP address and the host that answers ARP for it."""

    address: IpAddress
    resolver: HostIndex
    everyone_answers: bool = False
    """Whether any host with a live lease answers: the resolver has missed a heartbeat."""


@dataclass(frozen=True, slots=True)
class FilterTable:
    """What one host's filter decides by.

    ``buckets`` has one entry for each rule of ``rules``, in their order, and one more at its end
    for the default rule.
    """

    own: HostIndex
    vmac: Mac
    station_mac: Mac
    masked_mac: Mac
    """What the guard puts in place of the VMAC as a source."""
    key: HashKey
    vips: tuple[Vip, ...]
    rules: tuple[PortRule, ...]
    buckets: tuple[Buckets, ...]
    is_stopped: bool = False
    """Whether this host has been stopped, so that without a lease not even connections go on."""
    dedicated_ip: IpAddress | None = None
    """Where this host's data path answers liveness probes, if anywhere."""
    boot_nonce: int = 0
    """Which load of the programs this is, as it says when probed."""
    receiver: HostIndex | None = None
    """Who receives the cluster's frames for all and relays them; None: the segment floods them."""
    station_macs: tuple[tuple[HostIndex, Mac], ...] = ()
    """Whom frames may be relayed to, and by whom they are: each host with its address."""

    def __post_init__(self) -> None:
        """Refuse a table whose parts do not fit: a programmer's error."""
        assert len(self.buckets) == len(self.rules) + 1, "one set of buckets for each rule"
        assert len(self.vips) <= VIP_COUNT_MAX, f"{len(self.vips)} virtual IPs"

    def vip(self, address: IpAddress) -> Vip | None:
        """Return the virtual IP of this address, or None if it is not the cluster's."""
        return next((vip for vip in self.vips if vip.address == address), None)

    def rule_buckets(self, rule: RuleIndex) -> Buckets:
        """Return the buckets of a rule, the default rule included."""
        return self.buckets[-1 if rule == DEFAULT_RULE else rule]

    def station_of(self, index: HostIndex | None) -> Mac | None:
        """Return the address of a host that takes part in relaying; None if it does not."""
        return next((mac for host, mac in self.station_macs if host == index), None)
