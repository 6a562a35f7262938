# SPDX-License-Identifier: Apache-2.0
"""The kernel's clocks, as the numbers the core counts in.

Knows which clock is read for what: CLOCK_MONOTONIC, which nobody can set and which the lease in the
data path follows too, for instants; CLOCK_REALTIME only where a later start of the same host must
have a larger number. Knows nothing of what the time is used for.
"""

import time
from typing import Final

from wlbs.core.protocol.events import Instant

_CLOCK_MONOTONIC_COARSE: Final = 6
"""Its resolution is the kernel's tick, 1/HZ (include/uapi/linux/time.h)."""
_NS_PER_SECOND: Final = 1_000_000_000


def now() -> Instant:
    """Return the present instant."""
    return Instant(time.monotonic_ns())


def tick_ns() -> int:
    """Return how long a tick of the kernel is: the step of its jiffies."""
    return round(time.clock_getres(_CLOCK_MONOTONIC_COARSE) * _NS_PER_SECOND)


def calendar_ns() -> int:
    """Return the nanoseconds since 1970: larger after a restart, unless somebody set the clock."""
    return time.time_ns()
