# SPDX-License-Identifier: Apache-2.0
"""What an agent changes on its host, in order, each change written down before it is made.

The guard comes first, so that no frame of the cluster's leaves unguarded once the virtual IP is
there; the undo record, read backwards, takes it away last. Knows which settings a cluster needs
and why. Decides nothing about traffic.
"""

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wlbs.config.load import HostSettings
from wlbs.core.cluster import Cluster, Host
from wlbs.core.table import FilterTable
from wlbs.datapath import attachment, witness
from wlbs.datapath.loader import OBJECT, Datapath
from wlbs.linux import link, sysctl
from wlbs.linux.change import (
    AddressAdded,
    DatapathPinned,
    LinkBroughtUp,
    PromiscuitySet,
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

_MPTCP_JOIN: Final = "net/mptcp/allow_join_initial_addr_port"
"""A further MPTCP subflow to the virtual IP would hash to another host than the first."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Where and as whom an agent serves."""

    cluster: Cluster
    host: Host
    settings: HostSettings
    link: link.Link
    instance: Instance

    @property
    def pinned(self) -> DatapathPinned:
        """What is written down of the data path this version would load."""
        objects = (path.read_bytes() for path in (OBJECT, witness.OBJECT))
        programs = hashlib.blake2b(b"".join(objects), digest_size=16).hexdigest()
        return DatapathPinned(str(self.instance.pins), self.link.name, self.link.index, programs)


def can_be_taken_over(plan: Plan, record: UndoRecord) -> bool:
    """Whether a dead agent left this very plan's data path: connections live on in it.

    Its programs must be these, its interface and its virtual IPs the same. What it had not come to
    is made now; what it had made already is written down.
    """
    try:
        if not record.exists or not record.is_here():
            return False
        made = record.changes()
        Datapath.open(plan.instance.pins).close()
    except LinuxError:
        return False
    vips = {each.address for each in made if isinstance(each, AddressAdded)}
    return plan.pinned in made and vips == {str(vip) for vip in plan.cluster.vips}


def load(plan: Plan, record: UndoRecord) -> Datapath:
    """Load the programs; nothing is attached yet. Whoever calls undoes the record."""
    record.add(plan.pinned)
    return Datapath.load(plan.instance.pins)


def make(plan: Plan, datapath: Datapath, table: FilterTable, record: UndoRecord) -> None:
    """Make every change that has not been made; whoever calls undoes the record."""
    index = plan.link.index
    datapath.install(table)
    datapath.attach_guard(index, plan.settings.tc)
    _set_sysctls(plan.link.name, record)
    _bring_up(LOOPBACK, record)
    for vip in plan.cluster.vips:
        record.add(AddressAdded(LOOPBACK, str(vip)))
        link.add_host_address(LOOPBACK, vip)
    _bring_up(plan.link.name, record)
    datapath.attach_ingress(index, plan.settings.xdp, plan.settings.tc)
    if not plan.link.is_promiscuous:
        record.add(PromiscuitySet(plan.link.name))
        link.set_promiscuous(plan.link.name, on=True)


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


def _set_sysctls(interface: str, record: UndoRecord) -> None:
    for setting, least in _AT_LEAST.items():
        name = f"net/ipv4/conf/{interface}/{setting}"
        before = sysctl.read(name)
        if before is not None and int(before) < least:
            record.add(SysctlSet(name, before))
            sysctl.write(name, str(least))
    before = sysctl.read(_MPTCP_JOIN)
    if before not in {None, "0"}:
        record.add(SysctlSet(_MPTCP_JOIN, str(before)))
        sysctl.write(_MPTCP_JOIN, "0")


def _bring_up(interface: str, record: UndoRecord) -> None:
    if not link.find(interface).is_up:
        # On a loopback interface that was never up the kernel adds this one by itself.
        held = {str(each.address) for each in link.addresses() if each.interface == interface}
        brings = "127.0.0.1" if interface == LOOPBACK and "127.0.0.1" not in held else ""
        record.add(LinkBroughtUp(interface, brings))
        link.set_up(interface, up=True)
