# SPDX-License-Identifier: Apache-2.0
"""Deliberate faults: each puts another part into a host and must be caught by an expectation.

The names are the lab's where both break the same thing. Knows parts; no product code has a branch
for any of this.
"""

from dataclasses import dataclass, replace
from typing import Final

from wlbs.core.buckets import BUCKET_COUNT, HashKey
from wlbs.core.claim import Claim, Listener, SocketFacts, judge
from wlbs.core.filter import Verdict
from wlbs.core.frame import Segment
from wlbs.core.protocol.events import DeliveriesCounted, Instant
from wlbs.core.reason import Reason
from wlbs.core.rules import HostIndex
from wlbs.core.sighting import Sender
from wlbs.core.table import Buckets, FilterTable
from wlbs.sim.parts import SOUND, Parts

VICTIM: Final = "h2"
ROBBED: Final = HostIndex(0)


@dataclass(frozen=True, slots=True)
class Sabotage:
    """One fault; ``caught_in`` names the scenario whose expectations are there to catch it."""

    name: str
    summary: str
    caught_in: str
    parts: Parts = SOUND
    is_everywhere: bool = False
    """Whether every host has the fault, or `VICTIM` alone."""
    also_in: tuple[str, ...] = ()
    """Other scenarios that are there to catch it."""

    @property
    def scenarios(self) -> tuple[str, ...]:
        """The scenarios that are there to catch it."""
        return (self.caught_in, *self.also_in)

    def parts_of(self, host: str) -> Parts:
        """Return the parts of a host."""
        return self.parts if self.is_everywhere or host == VICTIM else SOUND


def _unguarded(table: FilterTable, data: bytes) -> Verdict:
    """Let everything out."""
    del table, data
    return Verdict(Reason.GUARD_PASSED)


def _greedy(table: FilterTable) -> FilterTable:
    """Own another host's buckets as well."""
    swap = bytes.maketrans(bytes((ROBBED,)), bytes((table.own,)))
    return replace(
        table,
        buckets=tuple(Buckets(each.owners.translate(swap), each.marks) for each in table.buckets),
    )


def _answering(table: FilterTable) -> FilterTable:
    """Answer ARP for every virtual IP."""
    return replace(table, vips=tuple(replace(vip, resolver=table.own) for vip in table.vips))


def _unmarked(table: FilterTable) -> FilterTable:
    """Know of no bucket that it has changed hands."""
    return replace(
        table,
        buckets=tuple(Buckets(each.owners, bytes(BUCKET_COUNT)) for each in table.buckets),
    )


def _mute(table: FilterTable) -> FilterTable:
    """Have nobody to relay to."""
    return replace(table, station_macs=())


def _other_key(key: HashKey) -> HashKey:
    return HashKey(bytes(octet ^ 0xFF for octet in key.octets))


def _without_numbers(facts: SocketFacts, segment: Segment) -> Claim:
    """Claim whatever a socket has the addresses of; a listener has nobody's."""
    return judge(facts, segment) if isinstance(facts, Listener) else Claim.SOCKET


def _without_cookies(facts: SocketFacts, segment: Segment) -> Claim:
    """Know no SYN cookie again."""
    claim = judge(facts, segment)
    return Claim.LISTENER if claim is Claim.COOKIE else claim


def _for_ever(until: Instant) -> Instant:
    del until
    return Instant(1 << 62)


def _without_end(counted: DeliveriesCounted, now: Instant) -> DeliveriesCounted:
    """Count on, whether anything arrives or not."""
    return replace(counted, arrived=(now,) * len(counted.arrived))


def _blaming(counted: DeliveriesCounted, now: Instant) -> DeliveriesCounted:
    """Take another program for the sender."""
    del now
    innocent = Sender("lldpd", 1, 1)
    sightings = (replace(each, sender=each.sender and innocent) for each in counted.sightings)
    return replace(counted, sightings=tuple(sightings))


SABOTAGES: Final[dict[str, Sabotage]] = {
    each.name: each
    for each in (
        Sabotage(
            "guard-off",
            "h2 has no egress guard",
            "serve",
            Parts(guard=_unguarded),
            also_in=("q258609-w2k",),
        ),
        Sabotage("two-owners", "h2 also takes the flows of h1", "serve", Parts(table=_greedy)),
        Sabotage(
            "arp-from-all",
            "every host answers ARP",
            "serve",
            Parts(table=_answering),
            is_everywhere=True,
        ),
        Sabotage("key-differs", "h2 has another key", "serve", Parts(key=_other_key)),
        Sabotage(
            "ack-check-off",
            "no host looks at sequence numbers before it claims a segment",
            "handover-races",
            Parts(claim=_without_numbers),
            is_everywhere=True,
        ),
        Sabotage(
            "cookie-off",
            "no host knows its SYN cookies again",
            "handover-races",
            Parts(claim=_without_cookies),
            is_everywhere=True,
        ),
        Sabotage(
            "flag-off",
            "h2 has no flags on its buckets",
            "leave-join",
            Parts(table=_unmarked),
            also_in=("handover-races",),
        ),
        Sabotage(
            "lease-off",
            "the lease of h2 never runs out",
            "stall",
            Parts(lease=_for_ever),
            also_in=("handover-races",),
        ),
        Sabotage(
            "relay-off",
            "whoever receives for all relays nothing",
            "q258609-heal",
            Parts(table=_mute),
            is_everywhere=True,
        ),
        Sabotage(
            "detect-off",
            "every host counts probes that never came",
            "q258609-heal",
            Parts(deliveries=_without_end),
            is_everywhere=True,
        ),
        Sabotage(
            "attribution-wrong",
            "h2 takes another program for the one that sent",
            "q258609-heal",
            Parts(deliveries=_blaming),
        ),
    )
}
