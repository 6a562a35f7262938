# SPDX-License-Identifier: Apache-2.0
"""Being run in time on a busy machine.

Knows the kernel's real-time scheduling class (sched(7)). Knows nothing of what is to be in time.
"""

import os
from typing import Final

PRIORITY: Final = 1
"""The lowest of the real-time class: before every ordinary program, after whatever else is
real-time. corosync runs its membership in this class by default for the same reason."""


def run_before_others() -> bool:
    """Have this process scheduled before ordinary ones, and not its children; False if refused."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(PRIORITY))
    except OSError:
        return False
    return True
