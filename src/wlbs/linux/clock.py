# SPDX-License-Identifier: Apache-2.0
"""The monotonic clock, as the instants the core counts in.

Knows which kernel clock is read: CLOCK_MONOTONIC, which nobody can set and which the lease in the
data path follows too. Knows nothing of what the time is used for.
"""

import time

from wlbs.core.protocol.events import Instant


def now() -> Instant:
    """Return the present instant."""
    return Instant(time.monotonic_ns())
