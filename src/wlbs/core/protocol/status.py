# SPDX-License-Identifier: Apache-2.0
"""The snapshot a host publishes of itself: what `wlbs query` shows and scripts read.

Knows plain values only, so that it turns into JSON as it stands. Knows nothing of how it is
transported or shown.
"""

from dataclasses import dataclass

from wlbs.core.cluster import Cluster
from wlbs.core.protocol.effects import State
from wlbs.core.protocol.member import Member
from wlbs.core.rules import HostIndex
from wlbs.core.table import FilterTable


@dataclass(frozen=True, slots=True)
class HostStatus:
    """One host as the reporting host sees it; ``shares`` has its buckets, one count per rule."""

    priority: int
    name: str
    dedicated_ip: str
    present: bool
    is_default_host: bool
    shares: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """What one host says of itself and its cluster; ``counters`` counts frames by reason."""

    cluster: str
    mode: str
    primary_ip: str
    vmac: str
    own_priority: int
    state: State
    lease_live: bool
    flagged_count: int
    hosts: tuple[HostStatus, ...]
    counters: dict[str, int]


def snapshot(
    cluster: Cluster, member: Member, counters: dict[str, int], *, lease_live: bool
) -> Status:
    """Return the status of a member, with the counters and lease its data path reports."""
    table = member.table
    present = member.present
    return Status(
        cluster=cluster.name,
        mode=cluster.mode,
        primary_ip=str(cluster.primary),
        vmac=str(table.vmac),
        own_priority=table.own + 1,
        state=member.state,
        lease_live=lease_live,
        flagged_count=sum(1 for each in table.buckets for mark in each.marks if mark),
        hosts=tuple(
            HostStatus(
                priority=host.priority,
                name=host.name,
                dedicated_ip=str(host.dedicated_ip),
                present=host.index in present,
                is_default_host=host.index == min(present),
                shares=_shares(table, host.index),
            )
            for host in sorted(cluster.hosts, key=lambda each: each.priority)
        ),
        counters=counters,
    )


def _shares(table: FilterTable, host: HostIndex) -> tuple[int, ...]:
    return tuple(each.owners.count(host) for each in table.buckets)
