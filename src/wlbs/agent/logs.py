# SPDX-License-Identifier: Apache-2.0
"""Effects as log lines: the only place where they become text.

On a terminal a line is key=value, anywhere else one JSON object. Knows how a line is written; what
is in it says `telling`. Knows nothing of what caused an effect.
"""

import json
from datetime import UTC, datetime
from typing import TextIO

from wlbs.core.protocol.effects import (
    Effect,
    Refuse,
    ReportBypassers,
    ReportCapture,
    ReportHealing,
    ReportMembership,
    ReportRefusal,
    ReportSighting,
    ReportState,
)
from wlbs.core.protocol.refusal import MEANING
from wlbs.core.protocol.telling import fields_of, numbers


class Log:
    """Lines on one stream."""

    def __init__(self, stream: TextIO) -> None:
        """Choose the form by whether a person is likely to be watching."""
        self._stream = stream
        self._is_terminal = stream.isatty()

    def write(self, effect: Effect) -> None:
        """Write an effect's line, if it has one."""
        fields = fields_of(effect)
        if fields:
            at = datetime.now(UTC).isoformat(timespec="milliseconds")
            print(self._line({"at": at, **fields}), file=self._stream, flush=True)

    def _line(self, fields: dict[str, str]) -> str:
        if not self._is_terminal:
            return json.dumps(fields)
        return " ".join(f"{key}={_quoted(value)}" for key, value in fields.items())


def words(  # noqa: PLR0911 - one return for each kind of effect
    effect: Effect,
) -> str:
    """Say in words what an effect means to an operator; empty where it means nothing."""
    match effect:
        case ReportState(before, after):
            return f"this host was {before} and is {after}"
        case ReportMembership(present):
            return f"the hosts {numbers(present)} share the traffic" if present else ""
        case ReportRefusal(refusal, who):
            return f"refused {who}: {MEANING[refusal]}"
        case Refuse(because):
            return because
        case ReportCapture(finding, captor, receiver, _):
            whose = "" if captor is None else f" (host {captor + 1})"
            how = "" if receiver is None else f"; host {receiver + 1} receives and relays"
            return f"the cluster's MAC on the segment: {finding}{whose}{how}"
        case ReportHealing(step, because):
            return f"{step}: {because}"
        case ReportSighting(_, seen) | ReportBypassers(_, seen):
            return seen
        case _:
            return ""


def _quoted(value: str) -> str:
    return json.dumps(value) if " " in value else value
