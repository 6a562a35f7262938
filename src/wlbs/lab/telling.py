# SPDX-License-Identifier: Apache-2.0
"""What the agents of a lab told their operator: the lines of their logs.

Knows how a line of the log reads (agents write JSON where nobody watches). Knows nothing of whether
it is true.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from wlbs.lab.agents import log_of
from wlbs.lab.names import LabNames
from wlbs.scenario.evidence import Said


def read_said(names: LabNames, host: str, origin_s: float) -> tuple[Said, ...]:
    """Return what the agents that a host has had told, in the order of its time."""
    log = log_of(names, host)
    logs = [*log.parent.glob(f"{log.stem}.*{log.suffix}"), *log.parent.glob(log.name)]
    said = [each for one in logs for each in _lines(one, host, origin_s)]
    return tuple(sorted(said, key=lambda each: each.at_s))


def _lines(log: Path, host: str, origin_s: float) -> Iterator[Said]:
    for line in log.read_text().splitlines():
        if line.startswith("{"):
            fields = json.loads(line)
            at_s = datetime.fromisoformat(fields["at"]).timestamp() - origin_s
            if "event" in fields:
                yield Said(at_s, host, fields["event"], fields)
