# SPDX-License-Identifier: Apache-2.0
"""The cluster as its operator configured it: the same value on every host.

Knows names, addresses, hosts, rules and mode. Knows nothing of files (that is the package
`config`), of which host this is, or of who is alive.
"""

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Final

from wlbs.core.address import IpAddress, Mac, cluster_macs
from wlbs.core.buckets import HashKey
from wlbs.core.rules import HostIndex, PortRule


@unique
class Mode(StrEnum):
    """How frames for the VMAC reach the hosts, and who owns that address."""

    STEALTH = "stealth"
    """The VMAC is on no device; the switch floods frames for it."""


@unique
class XdpMode(StrEnum):
    """Where the ingress program runs; generic is chosen by word, never silently."""

    NATIVE = "native"
    """In the driver, before the kernel has built a packet of the frame."""
    GENERIC = "generic"
    """In the stack, for drivers that have no XDP of their own; slower."""


@unique
class TcHook(StrEnum):
    """Which kernel interface carries the egress guard and the ingress companion."""

    AUTO = "auto"
    """TCX where the kernel has it, clsact elsewhere; found by trying, not by version."""
    TCX = "tcx"
    """Links of their own, since Linux 6.6 (commit e420bed02507)."""
    CLSACT = "clsact"
    """Filters of the clsact queueing discipline."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How often hosts say that they are there, and after how much silence they count as gone."""

    name: str
    period_ns: int
    tolerance: int
    """Heartbeats in a row that may be missed; NLB's AliveMsgTolerance (KB Q193601)."""

    @property
    def detection_ns(self) -> int:
        """The silence after which a host counts as gone."""
        return self.period_ns * self.tolerance

    @property
    def lease_ns(self) -> int:
        """How long a heartbeat that was heard lets its sender take new flows.

        Shorter than the detection time, so that the sender stops before others take over. A
        twentieth covers clocks that drift apart by less than 5 %; the data path takes two more
        ticks off, because its clock moves in ticks.
        """
        return self.detection_ns * 19 // 20


TIMINGS: Final[dict[str, Timing]] = {
    each.name: each
    for each in (
        Timing("fast", 15_000_000, 3),
        Timing("default", 100_000_000, 3),
        # AliveMsgPeriod 1000 ms, AliveMsgTolerance 5 (KB Q193601, Q232711).
        Timing("nlb", 1_000_000_000, 5),
    )
}


@dataclass(frozen=True, slots=True)
class Host:
    """One host of the cluster; ``priority`` is NLB's host priority, 1 the highest."""

    priority: int
    name: str
    dedicated_ip: IpAddress

    @property
    def index(self) -> HostIndex:
        """The host as tables count it."""
        return HostIndex(self.priority - 1)


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster; ``vips`` begins with the primary IP address, from which the VMAC comes."""

    name: str
    mode: Mode
    vips: tuple[IpAddress, ...]
    hosts: tuple[Host, ...]
    rules: tuple[PortRule, ...]
    key: HashKey
    heartbeat_key: bytes
    """The secret under which heartbeats are authenticated, at most 64 octets (RFC 7693, 2.1)."""
    timing: Timing = TIMINGS["default"]

    @property
    def configuration(self) -> bytes:
        """A digest of everything that must be equal on every host, eight octets."""
        # Plain numbers and words only: what repr() makes of an enum differs between Pythons.
        plain = {
            "name": self.name,
            "mode": str(self.mode),
            "vips": [str(vip) for vip in self.vips],
            "hosts": sorted([h.priority, h.name, str(h.dedicated_ip)] for h in self.hosts),
            "rules": [_plain(rule) for rule in self.rules],
            "key": self.key.octets.hex(),
            "timing": [self.timing.period_ns, self.timing.tolerance],
        }
        return hashlib.blake2b(json.dumps(plain, sort_keys=True).encode(), digest_size=8).digest()

    @property
    def primary(self) -> IpAddress:
        """The primary IP address of the cluster."""
        return self.vips[0]

    @property
    def vmac(self) -> Mac:
        """The virtual MAC address of the cluster in its mode."""
        return cluster_macs(self.primary).unicast

    def host(self, index: HostIndex) -> Host:
        """Return the host of this index; KeyError if the cluster has none."""
        for host in self.hosts:
            if host.index == index:
                return host
        raise KeyError(index)


def _plain(rule: PortRule) -> list[int | str | list[list[int]]]:
    return [
        str(rule.vip or "all"),
        rule.first_port,
        rule.last_port,
        int(rule.protocol),
        int(rule.mode),
        int(rule.affinity),
        [[int(host), weight] for host, weight in sorted(rule.load_weights.items())],
    ]
