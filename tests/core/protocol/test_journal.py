# SPDX-License-Identifier: Apache-2.0
"""A journal can be repeated: what was written is what happens again, and every difference shows."""

import dataclasses
import json
from typing import cast

import pytest

from wlbs.core.address import BROADCAST, IpAddress, Mac
from wlbs.core.census import Census
from wlbs.core.cluster import TIMINGS, Cluster, Healing, Mode
from wlbs.core.protocol import journal
from wlbs.core.protocol.effects import (
    Effect,
    InstallTable,
    Refuse,
    ReportRefusal,
    SendHeartbeat,
    SendProbe,
)
from wlbs.core.protocol.events import (
    BypassersFound,
    CarrierChanged,
    ConnectionsCounted,
    DeliveriesCounted,
    DrainstopRequested,
    Event,
    HeartbeatReceived,
    Instant,
    ProbeAnswered,
    StartRequested,
    StopRequested,
    TimerFired,
)
from wlbs.core.protocol.refusal import Refusal
from wlbs.core.protocol.speaking import Incarnation
from wlbs.core.rules import HostIndex, PortRule
from wlbs.core.sighting import Bypass, Bypasser, FrameKind, Sender, Sighting, Where

MS = 1_000_000
STATION = Mac.parse("52:00:00:00:00:11")

KIND = FrameKind(0, b"\xaa\xaa\x03")
NETMON = Sender("netmon", 77, None)

LIFE: tuple[Event, ...] = (
    StartRequested(),
    *(TimerFired(),) * 5,
    HeartbeatReceived(Mac.parse("52:00:00:00:00:12"), b"garbage"),
    ProbeAnswered(b"garbage"),
    ConnectionsCounted(Census((1, 2, 3), 5, 4)),
    DeliveriesCounted(
        (0, 3, 2),
        (
            Sighting(Where.BYPASSED, KIND, BROADCAST, 2, Instant(1), Instant(2), NETMON),
            Sighting(Where.ARRIVED, KIND, BROADCAST, 1, Instant(1), Instant(1)),
        ),
        has_witness=False,
    ),
    BypassersFound((Bypasser(NETMON, Bypass.PACKET),)),
    CarrierChanged(up=False),
    CarrierChanged(up=True),
    DrainstopRequested(),
    StopRequested(),
)
"""Every kind of event, a tenth of a second apart."""


def beginning_of(cluster: Cluster) -> journal.Beginning:
    return journal.Beginning(cluster, HostIndex(0), Incarnation(STATION, 77), Instant(5 * MS))


def written(beginning: journal.Beginning) -> list[str]:
    """Return the journal of a member that lived through `LIFE`."""
    member = beginning.member()
    lines = [journal.beginning_line(beginning)]
    for number, event in enumerate(LIFE):
        at = Instant((5 + 100 * number) * MS)
        effects = member.handle(event, at)
        lines += [journal.event_line(event, at), *map(journal.effect_line, effects)]
    return [f"{line}\n" for line in lines]


def test_a_life_repeats_itself(cluster: Cluster) -> None:
    lines = written(beginning_of(cluster))
    kinds = {json.loads(line).get("event") for line in lines}
    assert kinds == {type(event).__name__ for event in LIFE} | {None}
    assert list(journal.replay(lines)) == []
    assert list(journal.replay([*lines, '{"at": 1, "ev'])) == []  # cut off by a crash


def test_every_part_of_a_beginning_is_read_back(cluster: Cluster) -> None:
    other = dataclasses.replace(
        cluster,
        mode=Mode.UNICAST,
        timing=TIMINGS["nlb"],
        masks_source=False,
        healing=frozenset(Healing),
        rules=(
            PortRule(1, 2, vip=IpAddress.parse("10.0.0.1"), load_weights={HostIndex(2): 7}),
            *cluster.rules,
        ),
    )
    incarnation = Incarnation(STATION, 1 << 60, is_fresh=False)
    beginning = journal.Beginning(other, HostIndex(2), incarnation, Instant(9))
    assert journal.read_beginning(journal.beginning_line(beginning)) == beginning


@pytest.mark.parametrize("changed", ["effect", "HoldLease", "InstallTable"])
def test_a_difference_names_its_line(cluster: Cluster, changed: str) -> None:
    lines = written(beginning_of(cluster))
    at = next(number for number, line in enumerate(lines) if changed in line)
    lines[at] = lines[at].replace("}", ', "more": 1}')
    (difference,) = journal.replay(lines)
    assert difference.line <= at
    assert difference.written != difference.repeated


def test_how_frames_are_relayed_is_part_of_a_table(cluster: Cluster) -> None:
    table = beginning_of(cluster).member().table
    stations = ((HostIndex(1), STATION),)
    tables = [
        table,
        dataclasses.replace(table, receiver=HostIndex(0)),
        dataclasses.replace(table, receiver=HostIndex(0), station_macs=stations),
    ]
    assert len({journal.effect_line(InstallTable(each)) for each in tables}) == 3


def test_an_effect_that_is_missing_is_a_difference(cluster: Cluster) -> None:
    lines = written(beginning_of(cluster))
    at = next(number for number, line in enumerate(lines) if "ReportState" in line)
    assert list(journal.replay(lines[:at] + lines[at + 1 :]))


@pytest.mark.parametrize(
    ("effect", "words"),
    [
        (Refuse("no"), {"because": "no"}),
        (SendHeartbeat(b"\x01\xff"), {"data": "01ff"}),
        (SendProbe(IpAddress.parse("10.0.0.2"), b"x"), {"to": "10.0.0.2", "data": "78"}),
        (ReportRefusal(Refusal.FORGED, "x"), {"refusal": "FORGED", "who": "x"}),
    ],
)
def test_an_effect_is_written_in_plain_words(effect: Effect, words: dict[str, str]) -> None:
    said = json.loads(journal.effect_line(effect))
    assert said == {"effect": type(effect).__name__, **words}


def test_what_has_no_words_is_a_mistake_of_ours() -> None:
    with pytest.raises(TypeError, match="no words for object"):
        journal.effect_line(Refuse(cast("str", object())))


@pytest.mark.parametrize(
    ("line", "means"),
    [
        ("", "the journal is empty"),
        ("{\n", "line 1: "),
        ("[]\n", "line 1: not the beginning"),
        ('{"journal": 0}\n', "line 1: a journal of format 0"),
        ('{"journal": 1}\n', "line 1: not the beginning"),
    ],
)
def test_what_does_not_begin_is_no_journal(line: str, means: str) -> None:
    with pytest.raises(journal.JournalError, match=means):
        list(journal.replay([line]))


def test_a_beginning_with_a_strange_rule_is_refused(cluster: Cluster) -> None:
    said = json.loads(journal.beginning_line(beginning_of(cluster)))
    said["rules"][0]["ports"] = "80"
    with pytest.raises(journal.JournalError, match="line 1: not a port rule"):
        journal.read_beginning(json.dumps(said))


@pytest.mark.parametrize(
    ("line", "means"),
    [
        ("nonsense", "line 2: not JSON"),
        ("3", "line 2: not an object"),
        ('{"at": 1, "event": "SunRose"}', "line 2: neither"),
        ('{"at": 1, "event": "TimerFired", "more": 2}', "line 2: neither"),
        ('{"at": 1, "event": "ProbeAnswered", "data": "0x"}', "line 2: non-hexadecimal"),
        (
            (
                '{"at": 1, "event": "DeliveriesCounted", "arrived": [], "sightings": [3], '
                '"has_witness": true}'
            ),
            "line 2: not a sighting: 3",
        ),
        (
            '{"at": 1, "event": "BypassersFound", "bypassers": [{"sender": null, "bypass": "X"}]}',
            "line 2: not a bypasser",
        ),
        (
            '{"at": 1, "event": "BypassersFound", "bypassers": [7]}',
            "line 2: not a bypasser: 7",
        ),
        (
            '{"at": 1, "event": "HeartbeatReceived", "source": "here", "data": ""}',
            "line 2: .* is not a MAC address",
        ),
    ],
)
def test_a_line_that_is_none_is_named(cluster: Cluster, line: str, means: str) -> None:
    first = journal.beginning_line(beginning_of(cluster))
    with pytest.raises(journal.JournalError, match=means):
        list(journal.replay([f"{first}\n", f"{line}\n"]))
