# SPDX-License-Identifier: Apache-2.0
"""Which buckets a member holds, and who may have connections in them: the two-step hand-over.

A bucket passes in two steps. Its owner stops claiming it, installs a table without it, and says
so; the new owner takes it once every peer that counts has heard its claim and none claims the
bucket itself. Between two members that hear each other no bucket can be held twice, whatever is
lost, delayed or reordered on the way: the later claim finds the earlier one in its way.

Who takes a bucket does not ask who had it before. Every other host may have connections in it until
it says that the bucket's group is empty, or is gone; until then the bucket is flagged. Likewise a
member that has let go of a bucket marks it until it has no connection there itself. Knows nothing
of time, leases or who counts; it is told.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from wlbs.core.buckets import BUCKET_COUNT
from wlbs.core.protocol.shares import ALL_BUCKETS, Shares, buckets_in, groups_of, owned_by, spread
from wlbs.core.rules import HostIndex
from wlbs.core.table import NEXT_SHIFT, Buckets, Mark

PENDING: Final = HostIndex(0xFE)
"""The owner of a bucket that is claimed and not held yet: nobody's, as far as this host knows."""

BucketSets = tuple[int, ...]
"""For each rule, the default rule last, a set of buckets as one integer."""


class Holdings:
    """One member's buckets."""

    def __init__(
        self, shares: Shares, own: HostIndex, others: Iterable[HostIndex], *, is_fresh: bool
    ) -> None:
        """Hold nothing; who has connections where is not known yet.

        A member whose data path is fresh has none itself.
        """
        self._shares = shares
        self._own = own
        everything = (ALL_BUCKETS,) * shares.rule_count
        self.held: BucketSets = shares.none
        self._left: BucketSets = shares.none if is_fresh else everything
        """Where this member may have connections without holding the bucket."""
        self._holders: dict[HostIndex, BucketSets] = dict.fromkeys(others, everything)
        """Where each peer may have connections, of whatever bucket."""

    @property
    def foreign(self) -> BucketSets:
        """The map of groups in which this member may have connections it does not own."""
        return tuple(groups_of(left) for left in self._left)

    @property
    def marks(self) -> tuple[BucketSets, BucketSets]:
        """What of a table changes with who may have connections: flags, and what was left."""
        flagged = tuple(held & flags for held, flags in self._flagged_pairs())
        return flagged, self._left

    @property
    def flagged_count(self) -> int:
        """How many of the buckets held are flagged."""
        return sum((held & flags).bit_count() for held, flags in self._flagged_pairs())

    @property
    def holders(self) -> tuple[BucketSets, ...]:
        """Where peers may have connections: what decides who is asked after whom."""
        return tuple(self._holders.values())

    def let_go(self) -> None:
        """Hold nothing any more; what was held may still have connections of this member."""
        self._keep(self._shares.none)

    def settle(self, claims: BucketSets, blocked: BucketSets, *, acknowledged: bool) -> None:
        """Hold what is claimed, may be taken, and is not claimed by a peer that counts."""
        wanted = zip(claims, blocked, self.held, strict=True)
        self._keep(
            tuple(
                (claim if acknowledged else held) & claim & ~block for claim, block, held in wanted
            )
        )

    @property
    def has_left(self) -> bool:
        """Whether this member may have connections in buckets it does not hold."""
        return any(self._left)

    def count_own(self, foreign: Sequence[int]) -> None:
        """Take note of a census made after the last bucket was let go."""
        pairs = zip(self._left, foreign, strict=True)
        self._left = tuple(left & buckets_in(groups) for left, groups in pairs)

    def count_peer(self, peer: HostIndex, foreign: Sequence[int], target: int) -> None:
        """Take note of the groups in which a peer says it has connections it does not own.

        In what its target gives it, it may have some as well: a peer that no longer counts, because
        it is deaf, goes on claiming what others take.
        """
        if len(foreign) == self._shares.rule_count:
            pairs = zip(foreign, self._shares.due(target, peer), strict=True)
            self._holders[peer] = tuple(buckets_in(groups) | due for groups, due in pairs)

    def forget(self, peer: HostIndex) -> None:
        """Take note that a peer's connections are over."""
        self._holders[peer] = self._shares.none

    def suspect(self, peer: HostIndex) -> None:
        """Take note that a peer can no longer say where it has connections."""
        self._holders[peer] = (ALL_BUCKETS,) * self._shares.rule_count

    def buckets(self, target: int, chain: Sequence[HostIndex] | None = None) -> tuple[Buckets, ...]:
        """Return what the filter table says of every bucket while this is the target.

        While frames are relayed, ``chain`` names the peers who may be asked for a flagged bucket.
        """
        owners = self._shares.owners(target)
        return tuple(
            self._rule(rule, owners[rule], flags, chain) for rule, flags in enumerate(self._flags())
        )

    def _rule(
        self, rule: int, owners: bytes, flags: int, chain: Sequence[HostIndex] | None
    ) -> Buckets:
        held, left = self.held[rule], self._left[rule]
        pending = owned_by(owners, self._own) & ~held
        named = _overlaid(owners, spread(pending, PENDING)) if pending else owners
        contested = spread(held & flags, Mark.FLAGGED)
        contested = _overlaid(contested, spread(left, Mark.FLAGGED | Mark.EARLIER_HOLDER))
        if chain is None or not held & flags | left:
            return Buckets(named, contested)
        return Buckets(named, _joined(contested, self._next_holders(rule, owners, chain)))

    def _next_holders(self, rule: int, owners: bytes, chain: Sequence[HostIndex]) -> bytes:
        """Return who is asked next for each bucket, where `Buckets.marks` has it; else this host.

        Of a bucket held, the first who may have connections in it; of one left, the first of those
        behind this host. So indices only rise on the way.
        """
        held, left = self.held[rule], self._left[rule]
        following = spread(ALL_BUCKETS, self._own << NEXT_SHIFT)
        for peer in sorted(chain, reverse=True):
            asked = held | left & ~owned_by(owners, peer) if peer > self._own else held
            asked &= self._holders[peer][rule]
            if asked:
                following = _replaced(following, asked, peer << NEXT_SHIFT)
        return following

    def _keep(self, held: BucketSets) -> None:
        pairs = zip(self._left, self.held, held, strict=True)
        self._left = tuple((left | before) & ~after for left, before, after in pairs)
        self.held = held

    def _flags(self) -> BucketSets:
        flags = list(self._shares.none)
        for holder in self._holders.values():
            flags = [flag | buckets for flag, buckets in zip(flags, holder, strict=True)]
        return tuple(flags)

    def _flagged_pairs(self) -> Iterable[tuple[int, int]]:
        return zip(self.held, self._flags(), strict=True)


def _joined(one: bytes, other: bytes) -> bytes:
    """Return the bits of both, octet by octet."""
    both = int.from_bytes(one, "little") | int.from_bytes(other, "little")
    return both.to_bytes(BUCKET_COUNT, "little")


def _replaced(octets: bytes, at: int, value: int) -> bytes:
    """Return octets with another value for each bucket in a set."""
    kept = int.from_bytes(octets, "little") & ~int.from_bytes(spread(at, 0xFF), "little")
    return (kept | int.from_bytes(spread(at, value), "little")).to_bytes(BUCKET_COUNT, "little")


def _overlaid(below: bytes, above: bytes) -> bytes:
    """Return the upper octet of each pair where it is not zero, else the lower."""
    number = int.from_bytes(above, "little")
    covered = above.translate(bytes(0 if at == 0 else 255 for at in range(256)))
    kept = int.from_bytes(below, "little") & ~int.from_bytes(covered, "little")
    return (kept | number).to_bytes(BUCKET_COUNT, "little")
