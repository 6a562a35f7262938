# SPDX-License-Identifier: Apache-2.0
"""Ways to break a lab's cluster from outside, so that scenarios can be seen to fail.

A scenario that cannot fail proves nothing: each sabotage here must turn at least one expectation.
Knows pinned links, filter tables and key files; the products' own code has no branch for any of it.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from wlbs.config.load import load
from wlbs.core.buckets import HashKey
from wlbs.core.protocol.events import Instant
from wlbs.core.protocol.member import Member
from wlbs.core.rules import HostIndex
from wlbs.core.table import Buckets, FilterTable
from wlbs.datapath.loader import Datapath
from wlbs.lab.agents import configuration_of
from wlbs.lab.command import inside, run
from wlbs.lab.names import NODE_INTERFACE, LabNames
from wlbs.linux import libbpf
from wlbs.linux.error import LinuxError
from wlbs.scenario.topology import Node, Topology

VICTIM: Final = HostIndex(1)
"""Host h2 is broken where one host is enough."""

ROBBED: Final = HostIndex(0)
"""Host h1 is whose buckets the victim takes as well."""


@dataclass(frozen=True, slots=True)
class Site:
    """The running lab that is to be broken."""

    names: LabNames
    topology: Topology
    key: HashKey

    @property
    def victim(self) -> Node:
        """The host that is broken; LinuxError if the lab is too small to have it."""
        if self.topology.host_count <= VICTIM:
            raise LinuxError(what="a sabotage needs two hosts", remedy="type --hosts 3")
        return self.topology.hosts[VICTIM]


def _nothing(site: Site) -> None:
    """Leave the lab as it is."""
    del site


def _no_keys(site: Site) -> dict[str, HashKey]:
    """Give every agent the same key."""
    del site
    return {}


@dataclass(frozen=True, slots=True)
class Sabotage:
    """One way to break a cluster: by what is done once it serves, or by the keys it gets."""

    name: str
    summary: str
    caught_in: str = "serve"
    """The scenario of which some expectation is there to catch it."""
    inject: Callable[[Site], None] = _nothing
    other_keys: Callable[[Site], dict[str, HashKey]] = _no_keys


def _guard_off(site: Site) -> None:
    """Detach the victim's egress guard, as `bpftool link detach` would."""
    pins = site.names.pins(site.victim.name)
    for pin in sorted(pins.glob("link-*-egress")):
        link = libbpf.open_pinned(pin)
        try:
            libbpf.detach_link(link)
        finally:
            os.close(link)
    if any(pins.glob("clsact-*-egress")):
        namespace = site.names.namespace(site.victim.name)
        run(inside(namespace, "tc", "filter", "del", "dev", NODE_INTERFACE, "egress"))


def _two_owners(site: Site) -> None:
    """Install a table at the victim by which it owns another host's buckets as well."""
    table = _table(site, VICTIM)
    swap = bytes.maketrans(bytes((ROBBED,)), bytes((VICTIM,)))
    greedy = tuple(Buckets(each.owners.translate(swap), each.marks) for each in table.buckets)
    _install(site, replace(table, buckets=greedy))


def _arp_from_all(site: Site) -> None:
    """Install tables by which every host answers ARP for the virtual IP."""
    for host in site.topology.hosts:
        own = HostIndex(host.number - 1)
        table = _table(site, own)
        mine = tuple(replace(vip, resolver=own) for vip in table.vips)
        _install(site, replace(table, vips=mine))


def _other_key(site: Site) -> dict[str, HashKey]:
    return {site.victim.name: HashKey(bytes(octet ^ 0xFF for octet in site.key.octets))}


def _table(site: Site, own: HostIndex) -> FilterTable:
    """Return the table a host rightly has, from the core's own law."""
    host = site.topology.hosts[own]
    cluster = load(configuration_of(site.names, host.name)).cluster
    return Member(cluster, own, host.mac, Instant(0)).table


def _install(site: Site, table: FilterTable) -> None:
    datapath = Datapath.open(site.names.pins(site.topology.hosts[table.own].name))
    try:
        datapath.install(table)
    finally:
        datapath.close()


NO_SABOTAGE: Final = Sabotage("none", "nothing is broken")

SABOTAGES: Final[dict[str, Sabotage]] = {
    each.name: each
    for each in (
        Sabotage("guard-off", "the egress guard of h2 is detached", inject=_guard_off),
        Sabotage("two-owners", "h2 also takes the flows of h1", inject=_two_owners),
        Sabotage("arp-from-all", "every host answers ARP", inject=_arp_from_all),
        Sabotage("key-differs", "h2 has another key", other_keys=_other_key),
    )
}
