# SPDX-License-Identifier: Apache-2.0
"""Waiting for a condition with a deadline; the lab's only use of a clock to wait by.

Knows nothing of what is waited for.
"""

import time
from collections.abc import Callable
from typing import Final

from wlbs.linux.error import LinuxError

POLL_S: Final = 0.02
"""Short against everything waited for (processes start in 50 ms and more), cheap in CPU time."""


def wait_until(condition: Callable[[], bool], what: str, *, seconds: float = 30.0) -> None:
    """Return once the condition holds; LinuxError naming it if it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise LinuxError(
                what=f"waited {seconds:g} s in vain for {what}", remedy="type `wlbs lab sweep`"
            )
        time.sleep(POLL_S)
