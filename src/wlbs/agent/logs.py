# SPDX-License-Identifier: Apache-2.0
"""Effects as log lines: the only place where they become text.

On a terminal a line is key=value, anywhere else one JSON object. Knows which effects are worth
a line: state, membership and refusals, and nothing that comes with every heartbeat. Knows nothing
of what caused an effect.
"""

import json
from datetime import UTC, datetime
from typing import TextIO, assert_never

from wlbs.core.protocol.effects import (
    CountConnections,
    Effect,
    EndLease,
    HoldLease,
    InstallTable,
    Refuse,
    ReportMembership,
    ReportRefusal,
    ReportState,
    SendHeartbeat,
    SendProbe,
)
from wlbs.core.protocol.refusal import MEANING


class Log:
    """Lines on one stream."""

    def __init__(self, stream: TextIO) -> None:
        """Choose the form by whether a person is likely to be watching."""
        self._stream = stream
        self._is_terminal = stream.isatty()

    def write(self, effect: Effect) -> None:
        """Write an effect's line, if it has one."""
        fields = _fields(effect)
        if fields:
            at = datetime.now(UTC).isoformat(timespec="milliseconds")
            print(self._line({"at": at, **fields}), file=self._stream, flush=True)

    def _line(self, fields: dict[str, str]) -> str:
        if not self._is_terminal:
            return json.dumps(fields)
        return " ".join(f"{key}={_quoted(value)}" for key, value in fields.items())


def words(effect: Effect) -> str:
    """Say in words what an effect means to an operator; empty where it means nothing."""
    match effect:
        case ReportState(before, after):
            return f"this host was {before} and is {after}"
        case ReportMembership(present):
            return f"the hosts {_numbers(present)} share the traffic" if present else ""
        case ReportRefusal(refusal, who):
            return f"refused {who}: {MEANING[refusal]}"
        case Refuse(because):
            return because
        case (
            InstallTable()
            | HoldLease()
            | EndLease()
            | SendHeartbeat()
            | SendProbe()
            | CountConnections()
        ):
            return ""
        case _:
            assert_never(effect)


def _fields(effect: Effect) -> dict[str, str]:
    match effect:
        case ReportState(before, after, because):
            return {"event": "state", "before": before, "after": after, "because": because}
        case ReportMembership(present, because):
            return {"event": "membership", "present": _numbers(present), "because": because}
        case ReportRefusal(refusal, who):
            return {
                "event": "refusal",
                "reason": refusal.name,
                "who": who,
                "means": MEANING[refusal],
            }
        case (
            InstallTable()
            | HoldLease()
            | EndLease()
            | SendHeartbeat()
            | SendProbe()
            | CountConnections()
            | Refuse()
        ):
            return {}
        case _:
            assert_never(effect)


def _numbers(present: frozenset[int]) -> str:
    return ",".join(str(host + 1) for host in sorted(present))


def _quoted(value: str) -> str:
    return json.dumps(value) if " " in value else value
