# SPDX-License-Identifier: Apache-2.0
"""What an agent changes on its host, in order, each change written down before it is made.

The guard comes first, so that no frame of the cluster's leaves unguarded once the virtual IP is
there; the undo record, read backwards, takes it away last. Knows which settings a cluster needs
and why. Decides nothing about traffic.
"""

import hashlib
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, assert_never

from wlbs.config.load import HostSettings
from wlbs.core.address import IpAddress, Mac
from wlbs.core.cluster import Cluster, Host, Mode
from wlbs.core.table import FilterTable
from wlbs.datapath import attachment, witness
from wlbs.datapath.loader import OBJECT, Datapath
from wlbs.linux import autoconf, link, station, sysctl
from wlbs.linux.change import (
    AddressAdded,
    DatapathPinned,
    HardwareAddressHeard,
    HardwareAddressSet,
    LinkBroughtUp,
    PromiscuitySet,
    SecretAddressesMade,
    SysctlSet,
    UndoRecord,
)
from wlbs.linux.error import LinuxError, NotSupportedError
from wlbs.linux.instance import Instance

LOOPBACK: Final = "lo"

_AT_LEAST: Final = {
    # Answer no ARP for what is on another interface: the virtual IP is on lo, XDP answers for it.
    "arp_ignore": 1,
    # Name no address of another interface in own ARP requests.
    "arp_announce": 2,
    # Loose: a client may be reachable by another interface than the one it is heard on.
    "rp_filter": 2,
}

_ANNOUNCED: Final = ("net/ipv4/conf/{}/arp_notify", "net/ipv6/conf/{}/ndisc_notify")
"""Say so when the hardware address changes: others would send to the old one for seconds."""

_MPTCP_JOIN: Final = "net/mptcp/allow_join_initial_addr_port"
"""A further MPTCP subflow to the virtual IP would hash to another host than the first."""


Posture = (
    PromiscuitySet | HardwareAddressSet | HardwareAddressHeard | SecretAddressesMade | AddressAdded
)
"""What may be changed for an interface to hear the cluster."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Where and as whom an agent serves."""

    cluster: Cluster
    host: Host
    settings: HostSettings
    link: link.Link
    """As it was before anything was changed: with its own address."""
    instance: Instance

    @property
    def pinned(self) -> DatapathPinned:
        """What is written down of the data path this version would load."""
        objects = (path.read_bytes() for path in (OBJECT, witness.OBJECT))
        programs = hashlib.blake2b(b"".join(objects), digest_size=16).hexdigest()
        return DatapathPinned(str(self.instance.pins), self.link.name, self.link.index, programs)

    @property
    def identity(self) -> tuple[Posture, ...]:
        """What makes the interface the cluster's, in mode unicast."""
        if self.cluster.mode is not Mode.UNICAST:
            return ()
        # All hosts would make one IPv6 address of the one MAC address they have then.
        secret = SecretAddressesMade(self.link.name)
        return (secret, HardwareAddressSet(self.link.name, str(self.link.mac)))

    @property
    def hearing(self) -> tuple[Posture, ...]:
        """What makes the interface hear all that is sent to the cluster and to this host."""
        name, cluster = self.link.name, self.cluster
        match cluster.mode:
            case Mode.UNICAST:
                masked = cluster.masked_mac(self.host.index, self.link.mac)
                return (HardwareAddressHeard(name, str(masked)),) if cluster.masks_source else ()
            case Mode.MULTICAST:
                return (HardwareAddressHeard(name, str(cluster.vmac)),)
            case Mode.IGMP:
                return (AddressAdded(name, str(cluster.group)),)
            case Mode.STEALTH | Mode.RELAY | Mode.AUTO:
                return (PromiscuitySet(name),)
            case _:
                assert_never(cluster.mode)


def with_own_mac(found: link.Link, record: UndoRecord) -> link.Link:
    """Return an interface with the address it had before a dead agent gave it another."""
    made = record.changes() if record.exists and record.is_here() else ()
    for each in made:
        if isinstance(each, HardwareAddressSet) and each.interface == found.name:
            return replace(found, mac=Mac.parse(each.before))
    return found


def can_be_taken_over(plan: Plan, record: UndoRecord) -> bool:
    """Whether a dead agent left this very plan's data path: connections live on in it.

    Its programs must be these, its interface, its virtual IPs and what its mode asks for the same.
    What it had not come to is made now; what it had made already is written down.
    """
    try:
        if not record.exists or not record.is_here():
            return False
        made = record.changes()
        Datapath.open(plan.instance.pins).close()
    except LinuxError:
        return False
    vips = {AddressAdded(LOOPBACK, str(vip)) for vip in plan.cluster.vips}
    taken = {each for each in made if isinstance(each, Posture)}
    return plan.pinned in made and vips <= taken and taken - vips <= {*plan.identity, *plan.hearing}


def load(plan: Plan, record: UndoRecord) -> Datapath:
    """Load the programs; nothing is attached yet. Whoever calls undoes the record."""
    record.add(plan.pinned)
    return Datapath.load(plan.instance.pins)


def make(plan: Plan, datapath: Datapath, table: FilterTable, record: UndoRecord) -> None:
    """Make every change that has not been made; whoever calls undoes the record.

    Both programs are there before the interface has the VMAC or is up, and the filter before the
    host has a virtual IP: nothing leaves unguarded, and nothing gets to the stack undecided.
    """
    index = plan.link.index
    datapath.install(table)
    datapath.attach_guard(index, plan.settings.tc)
    datapath.attach_ingress(index, plan.settings.xdp, plan.settings.tc)
    _set_sysctls(plan.link.name, plan.cluster.mode, record)
    for change in plan.identity:
        _take(change, table.station_mac, record)
    _bring_up(plan.link.name, record)
    # Not on a link that is down: the kernel would not see to what the driver cannot filter.
    for change in plan.hearing:
        _take(change, table.station_mac, record)
    _bring_up(LOOPBACK, record)
    for vip in plan.cluster.vips:
        record.add(AddressAdded(LOOPBACK, str(vip)))
        link.add_host_address(LOOPBACK, vip)


def watch(plan: Plan, datapath: Datapath) -> str:
    """Have it seen who sends past the guard; what keeps this kernel from it, empty if nothing.

    Its pins are among the data path's, so that they go with them.
    """
    try:
        datapath.attach_witness(plan.link.index)
    except NotSupportedError as error:
        return str(error)
    return ""


def undo_datapath(change: DatapathPinned, is_there: bool) -> None:  # noqa: FBT001 - a callback
    """Detach and unpin what `make` loaded, also where loading was cut short."""
    pins = Path(change.pins)
    if is_there and pins.exists():
        # By what is pinned, not by what this version would pin: it may be an older one's.
        attachment.detach_all(pins)
    # An interface that is gone has taken its filters along, and links end with their last pin;
    # what loading had staged when it was cut short is attached nowhere.
    for top in (pins, pins.with_name(f"{pins.name}-staged")):
        shutil.rmtree(top, ignore_errors=True)
        if top.exists():
            what = f"{top} cannot be removed"
            raise LinuxError(what, f"as root: rm -r {top}")


def _take(change: Posture, station_mac: Mac, record: UndoRecord) -> None:
    """Make one change to the interface, unless the host is so already."""
    match change:
        case SecretAddressesMade(interface):
            if autoconf.uses_mac(interface):
                record.add(change)
                autoconf.use_secret(interface)
        case HardwareAddressSet(interface):
            if link.find(interface).mac != station_mac:
                record.add(change)
                station.set_mac(interface, station_mac)
        case HardwareAddressHeard(interface, address):
            record.add(change)
            station.hear(interface, Mac.parse(address))
        case AddressAdded(interface, address):
            record.add(change)
            link.add_host_address(interface, IpAddress.parse(address))
        case PromiscuitySet(interface):
            if not link.find(interface).is_promiscuous:
                record.add(change)
                link.set_promiscuous(interface, on=True)
        case _:
            assert_never(change)


def _set_sysctls(interface: str, mode: Mode, record: UndoRecord) -> None:
    for setting, least in _AT_LEAST.items():
        name = f"net/ipv4/conf/{interface}/{setting}"
        before = sysctl.read(name)
        if before is not None and int(before) < least:
            record.add(SysctlSet(name, before))
            sysctl.write(name, str(least))
    _set_sysctl(_MPTCP_JOIN, "0", record)
    if mode is Mode.UNICAST:
        for name in _ANNOUNCED:
            _set_sysctl(name.format(interface), "1", record)


def _set_sysctl(name: str, value: str, record: UndoRecord) -> None:
    before = sysctl.read(name)
    if before not in {None, value}:
        record.add(SysctlSet(name, str(before)))
        sysctl.write(name, value)


def _bring_up(interface: str, record: UndoRecord) -> None:
    if not link.find(interface).is_up:
        # On a loopback interface that was never up the kernel adds this one by itself.
        held = {str(each.address) for each in link.addresses() if each.interface == interface}
        brings = "127.0.0.1" if interface == LOOPBACK and "127.0.0.1" not in held else ""
        record.add(LinkBroughtUp(interface, brings))
        link.set_up(interface, up=True)
