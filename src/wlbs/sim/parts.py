# SPDX-License-Identifier: Apache-2.0
"""What one simulated host is made of, so that a sabotage can put another part in its place.

By default every part is the core's own. Knows no sabotage, and nothing of what a part is for.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from wlbs.core.buckets import HashKey
from wlbs.core.claim import Claim, SocketFacts, judge
from wlbs.core.filter import Verdict
from wlbs.core.frame import Segment
from wlbs.core.guard import guard
from wlbs.core.protocol.events import DeliveriesCounted, Instant
from wlbs.core.table import FilterTable


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one host; ``table`` and ``lease`` stand between the agent and its kernel."""

    guard: Callable[[FilterTable, bytes], Verdict] = guard
    claim: Callable[[SocketFacts, Segment], Claim] = judge
    table: Callable[[FilterTable], FilterTable] = lambda table: table
    lease: Callable[[Instant], Instant] = lambda until: until
    key: Callable[[HashKey], HashKey] = lambda key: key
    deliveries: Callable[[DeliveriesCounted, Instant], DeliveriesCounted] = lambda counted, _: (
        counted
    )
    """What the agent is told that its kernel has counted, and when."""


SOUND: Final = Parts()
