# SPDX-License-Identifier: Apache-2.0
"""What a host's kernel counts, read from its pinned maps without asking its agent.

Knows where a lab's agents pin. Knows nothing of what the counts should be.
"""

from wlbs.datapath.loader import Datapath
from wlbs.lab.names import LabNames


def read_counters(names: LabNames, host: str) -> dict[str, int]:
    """Return how many frames each reason has had at a host since its programs were loaded."""
    datapath = Datapath.open(names.pins(host))
    try:
        return {reason.name: count for reason, count in datapath.counters().items()}
    finally:
        datapath.close()
