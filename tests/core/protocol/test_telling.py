# SPDX-License-Identifier: Apache-2.0
"""Each effect that means something to an operator is told in named words, and no other is."""

import pytest

from wlbs.core.address import BROADCAST
from wlbs.core.instant import Instant
from wlbs.core.protocol.diagnosing import Finding
from wlbs.core.protocol.effects import (
    Effect,
    EndLease,
    HealingStep,
    ReportBypassers,
    ReportCapture,
    ReportHealing,
    ReportMembership,
    ReportRefusal,
    ReportSighting,
    ReportState,
    State,
)
from wlbs.core.protocol.refusal import MEANING, Refusal
from wlbs.core.protocol.telling import fields_of, numbers
from wlbs.core.rules import HostIndex
from wlbs.core.sighting import Bypass, Bypasser, FrameKind, Sender, Sighting, Where

H1, H2 = HostIndex(0), HostIndex(1)

LEAK = Sighting(
    Where.BYPASSED,
    FrameKind(0x0806),
    BROADCAST,
    count=1,
    first=Instant(1),
    last=Instant(1),
    sender=Sender("python3", 12, 34),
)


@pytest.mark.parametrize(
    ("effect", "said"),
    [
        (
            ReportState(State.STOPPED, State.JOINING, "told to"),
            {"event": "state", "before": "stopped", "after": "joining", "because": "told to"},
        ),
        (
            ReportMembership(frozenset({H2, H1}), "one came"),
            {"event": "membership", "present": "1,2", "because": "one came"},
        ),
        (
            ReportRefusal(Refusal.FORGED, "somebody"),
            {
                "event": "refusal",
                "reason": "FORGED",
                "who": "somebody",
                "means": MEANING[Refusal.FORGED],
            },
        ),
        (
            ReportCapture(Finding.CAPTURED, H2, None, "seen"),
            {
                "event": "capture",
                "finding": "captured",
                "means": "captured by a host's port",
                "captor": "2",
                "receiver": "",
                "because": "seen",
            },
        ),
        (
            ReportHealing(HealingStep.PULL, "nobody gets any"),
            {"event": "healing", "step": "pull", "because": "nobody gets any"},
        ),
        (
            ReportSighting(LEAK, "seen"),
            {
                "event": "sighting",
                "where": "bypassed",
                "frame": "ARP",
                "sender": "python3 (process 12, socket 34)",
                "seen": "seen",
            },
        ),
        (
            ReportBypassers(
                (
                    Bypasser(Sender("netmon", 77, None), Bypass.PACKET),
                    Bypasser(Sender(None, 78, None), Bypass.PACKET),
                    Bypasser(Sender("lldpd", 79, None), Bypass.PACKET),
                ),
                "three could",
            ),
            {"event": "bypassers", "names": "netmon,,lldpd", "seen": "three could"},
        ),
        (EndLease(), {}),
    ],
)
def test_an_effect_is_told_as_an_operator_needs_it(effect: Effect, said: dict[str, str]) -> None:
    assert fields_of(effect) == said


def test_hosts_are_counted_by_priority() -> None:
    assert numbers(frozenset()) == ""
    assert numbers(frozenset({HostIndex(9), H2})) == "2,10"
