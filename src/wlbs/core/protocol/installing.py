# SPDX-License-Identifier: Apache-2.0
"""The filter table of a member: made of what it holds, whom it counts and who relays.

Knows what goes into a table and when it differs from the last one. Knows nothing of why.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from wlbs.core.address import Mac
from wlbs.core.cluster import Cluster
from wlbs.core.protocol.effects import InstallTable
from wlbs.core.protocol.events import Instant
from wlbs.core.protocol.holdings import Holdings
from wlbs.core.protocol.peers import Peer, Peers
from wlbs.core.protocol.relaying import Relays
from wlbs.core.protocol.shares import Shares, target_of
from wlbs.core.protocol.speaking import Incarnation
from wlbs.core.rules import HostIndex
from wlbs.core.table import FilterTable, Vip


@dataclass(frozen=True, slots=True)
class Present:
    """Who shares the traffic, and whether this member has been stopped."""

    participants: frozenset[HostIndex] = frozenset()
    is_stopped: bool = True


class Tables:
    """One member's filter tables, one after the other."""

    def __init__(
        self, cluster: Cluster, own: HostIndex, incarnation: Incarnation, shares: Shares
    ) -> None:
        """Have made none yet."""
        self._cluster = cluster
        self._own = own
        self._incarnation = incarnation
        self._shares = shares
        self._installed: tuple[object, ...] | None = None

    def first(self, holdings: Holdings, peers: Peers, now: Instant) -> FilterTable:
        """Return the table of a member that takes no part yet."""
        return self._build(Present(), holdings, self._vips(frozenset(), peers, now), (None, ()))

    def settle(
        self, present: Present, holdings: Holdings, peers: Peers, way: "Way", now: Instant
    ) -> tuple[InstallTable, ...]:
        """Return a table if anything in it has changed."""
        vips = self._vips(present.participants, peers, now)
        installed: tuple[object, ...] = (present, holdings.held, holdings.marks, vips, way)
        if way[0] is not None:
            # Who is asked after whom changes with what peers say of their connections.
            installed = (*installed, holdings.holders)
        if installed == self._installed:
            return ()
        self._installed = installed
        return (InstallTable(self._build(present, holdings, vips, way)),)

    def _vips(
        self, participants: frozenset[HostIndex], peers: Peers, now: Instant
    ) -> tuple[Vip, ...]:
        """Return who answers ARP; everyone, where the one whose turn it is has missed a beat."""
        suspects = peers.suspects(now)
        resolvers = self._shares.resolvers(target_of(participants or {self._own}))
        pairs = zip(self._cluster.vips, resolvers, strict=True)
        return tuple(Vip(vip, index, index in suspects) for vip, index in pairs)

    def _build(
        self, present: Present, holdings: Holdings, vips: tuple[Vip, ...], way: "Way"
    ) -> FilterTable:
        receiver, station_macs = way
        chain = tuple(index for index, _ in station_macs if index != receiver)
        asked = None if receiver is None else chain
        return FilterTable(
            own=self._own,
            vmac=self._cluster.vmac,
            station_mac=self._cluster.station_mac(self._incarnation.own_mac),
            masked_mac=self._cluster.masked_mac(self._own, self._incarnation.own_mac),
            key=self._cluster.key,
            vips=vips,
            rules=self._cluster.rules,
            buckets=holdings.buckets(target_of(present.participants), asked),
            dedicated_ip=self._cluster.host(self._own).dedicated_ip,
            boot_nonce=self._incarnation.boot_nonce,
            is_stopped=present.is_stopped,
            receiver=receiver,
            station_macs=station_macs,
        )


Way = tuple[HostIndex | None, tuple[tuple[HostIndex, Mac], ...]]
"""How frames come: who receives for all, if anybody does, and the addresses of who takes part."""


def way_of(relays: Relays, counted: Sequence[Peer]) -> Way:
    """Return how frames come, by what the peers that count have said."""
    receiver = relays.receiver
    if receiver is None:
        return None, ()
    macs = (
        (peer.index, peer.source)
        for peer in counted
        if peer.source is not None and relays.reaches(peer)
    )
    return receiver, tuple(macs)
