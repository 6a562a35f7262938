# SPDX-License-Identifier: Apache-2.0
"""A census: which connections a host has, by the buckets they fall into.

Knows how buckets are grouped, so that what a host has fits into a heartbeat. Knows nothing of how
connections are found.
"""

from dataclasses import dataclass
from typing import Final

from wlbs.core.buckets import BUCKET_COUNT

GROUP_COUNT: Final = 64
"""Groups of buckets per rule: one word in a heartbeat says of each whether it is empty."""
BUCKETS_PER_GROUP: Final = BUCKET_COUNT // GROUP_COUNT


@dataclass(frozen=True, slots=True)
class Census:
    """The TCP connections to virtual IPs that a host has, half-open ones included.

    ``foreign`` has one 64-bit map per rule, the default rule last: the bit of a group is set if
    this host has a connection in one of its buckets that it does not own by its filter table.
    """

    foreign: tuple[int, ...]
    connection_count: int
    foreign_count: int
