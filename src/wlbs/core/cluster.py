# SPDX-License-Identifier: Apache-2.0
"""The cluster as its operator configured it: the same value on every host.

Knows names, addresses, hosts, rules and mode. Knows nothing of files (that is the package
`config`), of which host this is, or of who is alive.
"""

from dataclasses import dataclass
from enum import StrEnum, unique

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
