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

from wlbs.core.address import BROADCAST, IpAddress, Mac, cluster_macs, masked_mac
from wlbs.core.buckets import HashKey
from wlbs.core.rules import HostIndex, PortRule

_GROUPS: Final = 0xEFFF0000
"""239.255.0.0/16, the IPv4 local scope (RFC 2365, 6.1)."""


@unique
class Mode(StrEnum):
    """How frames for the VMAC reach the hosts, and who owns that address."""

    STEALTH = "stealth"
    """The VMAC is on no device; the switch floods frames for it."""
    UNICAST = "unicast"
    """The VMAC is every NIC's own address and masked in whatever is sent, as NLB has it."""
    MULTICAST = "multicast"
    """The VMAC is a multicast address; the switch floods frames for it."""
    IGMP = "igmp"
    """The VMAC is the address of a multicast group; a switch that snoops knows who has joined."""
    RELAY = "relay"
    """One host receives all frames and sends the others' on; for segments that do not flood."""
    AUTO = "auto"
    """As stealth while the segment floods, as relay where it never does."""


@unique
class Healing(StrEnum):
    """What hosts may do about a captured VMAC, beside saying so."""

    RELAY = "relay"
    """Whoever receives the cluster's frames sends the others' on to them."""
    BOUNCE = "bounce"
    """The host whose port has captured the VMAC takes its link down once: switches forget it."""


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
    masks_source: bool = True
    """Whether hosts hide the VMAC in what they send, in mode unicast; not behind one hub."""
    healing: frozenset[Healing] = frozenset({Healing.RELAY})

    @property
    def configuration(self) -> bytes:
        """A digest of everything that must be equal on every host, eight octets."""
        # Plain numbers and words only: what repr() makes of an enum differs between Pythons.
        plain = {
            "name": self.name,
            "mode": str(self.mode),
            "masks_source": self.masks_source,
            "healing": sorted(map(str, self.healing)),
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
        macs = cluster_macs(self.primary)
        match self.mode:
            case Mode.MULTICAST:
                return macs.multicast
            case Mode.IGMP:
                return macs.igmp
            case _:
                return macs.unicast

    @property
    def group(self) -> IpAddress | None:
        """The multicast group that hosts join in mode igmp, 239.255.c.d as NLB has it, or None.

        Its link-layer address is the VMAC (RFC 1112, 6.4).
        """
        if self.mode is not Mode.IGMP or not self.primary.is_v4:
            return None
        return IpAddress.from_v4(_GROUPS | self.primary.v4 & 0xFFFF)

    @property
    def heartbeat_destination(self) -> Mac:
        """Where hosts send heartbeats: to everybody, or to whoever has joined the group."""
        return self.vmac if self.vmac.is_group else BROADCAST

    def station_mac(self, own_mac: Mac) -> Mac:
        """Return the address of an interface while it serves, ``own_mac`` being its own."""
        return self.vmac if self.mode is Mode.UNICAST else own_mac

    def masked_mac(self, index: HostIndex, own_mac: Mac) -> Mac:
        """Return the source of all a host sends: ``02-hh-a-b-c-d`` in mode unicast (KB Q193602).

        Unmasked, for a hub, it is the VMAC itself.
        """
        if self.mode is not Mode.UNICAST:
            return own_mac
        return masked_mac(self.primary, index + 1) if self.masks_source else self.vmac

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
