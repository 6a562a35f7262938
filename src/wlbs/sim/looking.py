# SPDX-License-Identifier: Apache-2.0
"""What is seen from outside in the kernels of simulated hosts: tables, leases and counters.

Knows where to look. Asks no member anything, as the lab asks no agent.
"""

from collections.abc import Sequence

from wlbs.core.buckets import BUCKET_COUNT
from wlbs.core.protocol.shares import ALL_BUCKETS, owned_by
from wlbs.core.reason import Reason
from wlbs.scenario.evidence import Holding
from wlbs.sim.host import Host


def holds(host: Host, due: tuple[int, ...]) -> bool:
    """Whether a host's kernel has a live lease and owns just these buckets, none flagged."""
    if host.kernel is None or host.kernel.table is None or not host.kernel.lease_live:
        return False
    buckets = host.kernel.table.buckets
    owned = tuple(owned_by(each.owners, host.own) for each in buckets)
    return owned == due and not any(any(each.marks) for each in buckets)


def holdings_of(host: Host) -> tuple[Holding, ...]:
    """Return what a host's table has of each rule."""
    table = host.kernel.table if host.kernel else None
    if table is None:
        return ()
    return tuple(
        Holding(host.node.name, rule, owned_by(each.owners, table.own), each.flagged_count)
        for rule, each in enumerate(table.buckets)
    )


def is_shared_out(holdings: Sequence[Holding], hosts: tuple[str, ...]) -> bool:
    """Whether just these hosts hold something, and each bucket is held once among them."""
    if {each.host for each in holdings if each.owned} != set(hosts):
        return False
    held: dict[int, list[int]] = {}
    for each in holdings:
        held.setdefault(each.rule, []).append(each.owned)
    # Whatever is held once adds up to all buckets, and so does no other sum of as many bits.
    return all(
        sum(owned) == ALL_BUCKETS and sum(map(int.bit_count, owned)) == BUCKET_COUNT
        for owned in held.values()
    )


def counters_of(host: Host) -> dict[str, int]:
    """Return how many frames met each reason at a host."""
    counts = host.kernel.counters if host.kernel else {}
    return {reason.name: counts.get(reason, 0) for reason in Reason}
