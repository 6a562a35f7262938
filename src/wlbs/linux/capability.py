# SPDX-License-Identifier: Apache-2.0
"""Which of the privileges it needs this process lacks.

Knows the numbers of <linux/capability.h>. Knows nothing of which call needs which.
"""

from pathlib import Path
from typing import Final

_NUMBERS: Final = {
    "CAP_NET_ADMIN": 12,
    "CAP_NET_RAW": 13,
    "CAP_PERFMON": 38,
    "CAP_BPF": 39,
}


def missing() -> tuple[str, ...]:
    """Return the names of the needed capabilities that are not in effect."""
    for line in Path("/proc/thread-self/status").read_text("ascii", "replace").splitlines():
        if line.startswith("CapEff:"):
            effective = int(line.split()[1], 16)
            return tuple(name for name, at in _NUMBERS.items() if not effective >> at & 1)
    return tuple(_NUMBERS)
