# SPDX-License-Identifier: Apache-2.0
"""S1, S2 and S6, judged by what the data paths of machines hold and what has been delivered.

Knows what must hold at any moment. Knows nothing of how machines came to hold it.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations, product

from tests.core.protocol.machine import Machine

from wlbs.core.invariants import judge_relays

MS = 1_000_000


def judged(machines: Sequence[Machine], now: int) -> Iterator[str]:
    """Yield what is broken now."""
    live = [each for each in machines if each.is_live(now)]
    for a, b in combinations(live, 2):
        both = any(x & y for x, y in zip(a.owned, b.owned, strict=True))
        if both and a.hears(b, now) and b.hears(a, now):
            yield f"S1 at {now / MS} ms: {a.name} and {b.name}"
    for a, b in product(live, machines):
        for each in judge_relays(a.table, b.table):
            if a is not b and b.is_up and b.hears(a, now):
                yield f"S6 at {now / MS} ms: {each.seen}"
    for holder in machines:
        if holder.connections:
            yield from _connections_judged(holder, live, now)


def _connections_judged(holder: Machine, live: Sequence[Machine], now: int) -> Iterator[str]:
    """S2: a machine's own data path knows its connections, and every other asks for claims."""
    for rule, busy in enumerate(holder.busy):
        if holder in live and busy & ~holder.owned[rule] & ~holder.earlier[rule]:
            yield f"S2 at {now / MS} ms: {holder.name} forgot connections of its own, rule {rule}"
        for other in live:
            is_asked = other is not holder and other.expects(holder, now)
            if is_asked and busy & other.owned[rule] & ~other.flagged[rule]:
                yield f"S2 at {now / MS} ms: {other.name} resets {holder.name}'s, rule {rule}"
