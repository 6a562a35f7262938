# SPDX-License-Identifier: Apache-2.0
"""From the hosts and their load weights to the owner of each bucket, without history.

A pure function of the cluster's key, the configured weights and the hosts present, so hosts that
see the same hosts present hold the same table: nothing is transferred to a joiner, and a healed
partition agrees at once. Knows nothing of rules, affinity or of what a bucket contains.

The idea: first share the buckets among *all configured* hosts, then hand the share of those that
are absent to those that are present. A host keeps what it has in the full cluster, so when one
leaves or returns only its own share moves. Sharing is Maglev's filling (Eisenbud et al., NSDI
2016, section 3.4): each host walks a keyed permutation of its own and takes the next free bucket,
here until its quota is full, so that quotas are exact to one bucket. docs/decisions/0003 has the
measurements against plain Maglev filling and rendezvous hashing.
"""

import hashlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

from wlbs.core.address import IpAddress
from wlbs.core.buckets import BUCKET_COUNT, HashKey
from wlbs.core.rules import HostIndex
from wlbs.core.table import NOBODY

FULL_KEPT_MAX: Final = 64
"""Allocations of whole clusters that are remembered: one for each rule of a cluster, and its
default rule, with room for another cluster beside it."""


def allocate(
    key: HashKey, load_weights: Mapping[HostIndex, int], present: frozenset[HostIndex]
) -> bytes:
    """Return the owner of each bucket, one byte each; `NOBODY` if no present host has weight.

    ``load_weights`` names every configured host. A present host's share is its weight over the sum
    of the present hosts' weights, exact to one bucket.
    """
    owners = bytearray(_full(key, tuple(sorted(load_weights.items()))))
    present_weights = {h: w for h, w in load_weights.items() if h in present}
    quotas = _quotas(present_weights)
    _release(owners, quotas)
    _fill(owners, key, present_weights, quotas)
    return bytes(owners)


@lru_cache(maxsize=FULL_KEPT_MAX)
def _full(key: HashKey, load_weights: tuple[tuple[HostIndex, int], ...]) -> bytes:
    """Return the owners while every configured host is present: where all others begin."""
    weights = dict(load_weights)
    owners = bytearray((NOBODY,)) * BUCKET_COUNT
    _fill(owners, key, weights, _quotas(weights))
    return bytes(owners)


def resolver(key: HashKey, vip: IpAddress, present: frozenset[HostIndex]) -> HostIndex:
    """Return the host that answers ARP for a virtual IP: the highest keyed score of those present.

    Rendezvous hashing (Thaler and Ravishankar, 1998): virtual IPs spread over the hosts, and one
    moves only when its own resolver leaves or a better one joins.
    """
    assert present, "membership is never empty: it contains at least oneself"
    return max(sorted(present), key=lambda host: _digest(key, b"arp", host, vip.octets))


def _quotas(load_weights: Mapping[HostIndex, int]) -> dict[HostIndex, int]:
    """Return how many buckets each host is due: largest remainders, ties by host priority."""
    total = sum(load_weights.values())
    if total == 0:
        return dict.fromkeys(load_weights, 0)
    exact = {host: BUCKET_COUNT * weight for host, weight in load_weights.items()}
    quotas = {host: share // total for host, share in exact.items()}
    missing_count = BUCKET_COUNT - sum(quotas.values())
    by_remainder = sorted(exact, key=lambda host: (-(exact[host] % total), host))
    for host in by_remainder[:missing_count]:
        quotas[host] += 1
    return quotas


def _release(owners: bytearray, quotas: Mapping[HostIndex, int]) -> None:
    """Free the buckets of absent hosts, and what rounding left a host above its quota."""
    left = dict(quotas)
    for index, owner in enumerate(owners):
        due = left.get(HostIndex(owner), 0)
        if due:
            left[HostIndex(owner)] = due - 1
        else:
            owners[index] = NOBODY


def _fill(
    owners: bytearray,
    key: HashKey,
    load_weights: Mapping[HostIndex, int],
    quotas: Mapping[HostIndex, int],
) -> None:
    """Give the free buckets out, the hosts taking turns in proportion to their weights."""
    missing = {host: quota - owners.count(host) for host, quota in quotas.items()}
    takers = [host for host in sorted(missing) if missing[host] > 0]
    walks = {host: iter(_permutation(key, host)) for host in takers}
    turns = dict.fromkeys(takers, 0)
    heaviest = max((load_weights[host] for host in takers), default=0)
    while any(missing[host] for host in takers):
        for host in takers:
            turns[host] += load_weights[host]
            while turns[host] >= heaviest:
                turns[host] -= heaviest
                if missing[host]:
                    missing[host] -= 1
                    owners[_next_free(owners, walks[host])] = host


def _next_free(owners: bytearray, walk: Iterator[int]) -> int:
    return next(index for index in walk if owners[index] == NOBODY)


@lru_cache(maxsize=64)
def _permutation(key: HashKey, host: HostIndex) -> tuple[int, ...]:
    """Return the order in which a host prefers the buckets: they sorted by a keyed score."""
    scores = hashlib.shake_256(key.octets + bytes((host,))).digest(4 * BUCKET_COUNT)
    return tuple(sorted(range(BUCKET_COUNT), key=lambda at: scores[4 * at : 4 * at + 4]))


def _digest(key: HashKey, purpose: bytes, host: HostIndex, data: bytes) -> bytes:
    return hashlib.blake2b(
        bytes((host,)) + data, key=key.octets, person=purpose, digest_size=8
    ).digest()
