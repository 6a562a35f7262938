# SPDX-License-Identifier: Apache-2.0
"""What an operator is told of an effect, as named words: the same in every world.

Knows which effects are worth a line: state, membership, refusals, capture, sightings and healing,
and nothing that comes with every heartbeat. Knows nothing of where the line is written, or in what
form.
"""

from wlbs.core.protocol.effects import (
    Effect,
    ReportBypassers,
    ReportCapture,
    ReportHealing,
    ReportMembership,
    ReportRefusal,
    ReportSighting,
    ReportState,
)
from wlbs.core.protocol.refusal import MEANING


def fields_of(  # noqa: PLR0911 - one return for each kind of effect
    effect: Effect,
) -> dict[str, str]:
    """Return what a line about an effect says, its event first; nothing if it is worth none."""
    match effect:
        case ReportState(before, after, because):
            return {"event": "state", "before": before, "after": after, "because": because}
        case ReportMembership(present, because):
            return {"event": "membership", "present": numbers(present), "because": because}
        case ReportRefusal(refusal, who):
            return {
                "event": "refusal",
                "reason": refusal.name,
                "who": who,
                "means": MEANING[refusal],
            }
        case ReportCapture(finding, captor, receiver, because):
            return {
                "event": "capture",
                "finding": finding.name.lower(),
                "means": finding,
                "captor": _number(captor),
                "receiver": _number(receiver),
                "because": because,
            }
        case ReportHealing(step, because):
            return {"event": "healing", "step": step, "because": because}
        case ReportBypassers(bypassers, seen):
            names = ",".join(each.sender.name or "" for each in bypassers)
            return {"event": "bypassers", "names": names, "seen": seen}
        case ReportSighting(sighting, seen):
            return {
                "event": "sighting",
                "where": sighting.where.name.lower(),
                "frame": str(sighting.kind),
                "sender": str(sighting.sender or ""),
                "seen": seen,
            }
        case _:
            return {}


def numbers(present: frozenset[int]) -> str:
    """Return hosts as operators count them, by priority."""
    return ",".join(str(host + 1) for host in sorted(present))


def _number(host: int | None) -> str:
    return "" if host is None else str(host + 1)
