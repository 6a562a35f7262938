# SPDX-License-Identifier: Apache-2.0
"""Ways to break a lab's cluster from outside, so that scenarios can be seen to fail.

A scenario that cannot fail proves nothing: each sabotage here must turn at least one expectation.
Knows pinned links, filter tables and key files; the products' own code has no branch for any of it.
"""

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wlbs.core.buckets import HashKey
from wlbs.core.rules import HostIndex
from wlbs.datapath.layout import BUCKETS_AT, TABLE_SIZE, VIP_SLOT, VIP_SLOT_COUNT, VIPS_AT
from wlbs.datapath.loader import PROGRAMS, Datapath
from wlbs.lab.command import inside, run, start
from wlbs.lab.names import NODE_INTERFACE, LabNames
from wlbs.lab.tables import put
from wlbs.linux import libbpf
from wlbs.linux.error import LinuxError
from wlbs.scenario.topology import Node, Topology

VARIANTS: Final = Path(__file__).parent / "bpf"

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
    also_in: tuple[str, ...] = ()
    """Other scenarios of which that is true."""
    inject: Callable[[Site], None] = _nothing
    other_keys: Callable[[Site], dict[str, HashKey]] = _no_keys

    @property
    def scenarios(self) -> tuple[str, ...]:
        """The scenarios that are there to catch it."""
        return (self.caught_in, *self.also_in)

    @property
    def is_dividing(self) -> bool:
        """Whether the hosts will never be one cluster."""
        return self.other_keys is not _no_keys


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
    robbed = site.names.pins(site.topology.hosts[ROBBED].name)
    datapath = Datapath.open(robbed)
    try:
        theirs = datapath.installed()
    finally:
        datapath.close()
    assert theirs is not None, "the cluster serves by now"

    def greedy(data: bytearray) -> None:
        for at in range(BUCKETS_AT, TABLE_SIZE, 2):
            if theirs.data[at] == ROBBED:
                data[at] = VICTIM

    put(site.names.pins(site.victim.name), greedy)


def _arp_from_all(site: Site) -> None:
    """Install tables by which every host answers ARP for the virtual IP."""

    def answering(data: bytearray) -> None:
        for at in range(VIPS_AT, VIPS_AT + VIP_SLOT_COUNT * VIP_SLOT.size, VIP_SLOT.size):
            address, index, resolver, _ = VIP_SLOT.unpack_from(data, at)
            VIP_SLOT.pack_into(data, at, address, index, resolver, bool(any(address)))

    for host in site.topology.hosts:
        put(site.names.pins(host.name), answering)


def _meddled(site: Site, word: str) -> None:
    """Start a program beside the victim that writes into its maps again and again."""
    _meddled_at(site, site.victim, word)


def _meddled_everywhere(site: Site, word: str) -> None:
    """Meddle at every host: it is not known beforehand at which it counts."""
    for host in site.topology.hosts:
        _meddled_at(site, host, word)


def _meddled_at(site: Site, host: Node, word: str) -> None:
    pins = site.names.pins(host.name)
    words = (sys.executable, "-m", "wlbs.lab.meddle", word, str(pins))
    log = site.names.state / f"meddle-{word}-{host.name}.log"
    start(inside(site.names.namespace(host.name), *words), log)


def _reprogrammed(site: Site, variant: str) -> None:
    """Put a variant of the ingress program in the place of every host's own, on the same maps."""
    for host in site.topology.hosts:
        pins = site.names.pins(host.name)
        with ExitStack() as undo:
            maps = {}
            for pin in _pinned_maps(pins):
                maps[pin.name] = libbpf.open_pinned(pin)
                undo.callback(os.close, maps[pin.name])
            changed = libbpf.BpfObject(VARIANTS / f"{variant}.bpf.o", maps)
            undo.callback(changed.close)
            (pin,) = pins.glob("link-*-xdp")
            link = libbpf.open_pinned(pin)
            undo.callback(os.close, link)
            libbpf.update_link(link, dict(changed.programs())["wlbs_filter"])


def _pinned_maps(pins: Path) -> list[Path]:
    others = ("link-", "clsact-", "witness")
    return [
        pin
        for pin in sorted(pins.iterdir())
        if pin.name not in PROGRAMS and not pin.name.startswith(others)
    ]


def _other_key(site: Site) -> dict[str, HashKey]:
    return {site.victim.name: HashKey(bytes(octet ^ 0xFF for octet in site.key.octets))}


NO_SABOTAGE: Final = Sabotage("none", "nothing is broken")

SABOTAGES: Final[dict[str, Sabotage]] = {
    each.name: each
    for each in (
        Sabotage(
            "guard-off",
            "the egress guard of h2 is detached",
            also_in=("q258609-w2k",),
            inject=_guard_off,
        ),
        Sabotage("two-owners", "h2 also takes the flows of h1", inject=_two_owners),
        Sabotage("arp-from-all", "every host answers ARP", inject=_arp_from_all),
        Sabotage("key-differs", "h2 has another key", other_keys=_other_key),
        Sabotage(
            "ack-check-off",
            "any socket claims a segment, whatever the segment acknowledges",
            caught_in="handover-races",
            inject=lambda site: _reprogrammed(site, "ack_check_off"),
        ),
        Sabotage(
            "cookie-off",
            "no SYN cookie claims a segment",
            caught_in="handover-races",
            inject=lambda site: _reprogrammed(site, "cookie_off"),
        ),
        Sabotage(
            "lease-off",
            "the lease of h2 never runs out",
            caught_in="stall",
            also_in=("handover-races",),
            inject=lambda site: _meddled(site, "lease"),
        ),
        Sabotage(
            "flag-off",
            "h2 has no flags on its buckets",
            caught_in="leave-join",
            also_in=("handover-races",),
            inject=lambda site: _meddled(site, "flags"),
        ),
        Sabotage(
            "relay-off",
            "whoever receives for all relays nothing",
            caught_in="q258609-heal",
            inject=lambda site: _meddled_everywhere(site, "relays"),
        ),
        Sabotage(
            "detect-off",
            "every host counts probes that never came",
            caught_in="q258609-heal",
            inject=lambda site: _meddled_everywhere(site, "deliveries"),
        ),
    )
}
