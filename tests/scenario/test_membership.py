# SPDX-License-Identifier: Apache-2.0
"""What is expected of hosts that come and go: each expectation on sound and on broken evidence."""

from dataclasses import replace

import pytest

from wlbs.scenario.evidence import Attempt, Connection, Evidence, Failure, Holding, Moment
from wlbs.scenario.expectations import (
    Expects,
    FlagsGone,
    Follows,
    NonceChanged,
    NoneBroken,
    NothingNewAt,
    TableExact,
    Unbroken,
)
from wlbs.scenario.judge import figures_of, judge
from wlbs.scenario.judging.observed import Observed
from wlbs.scenario.steps import Scenario
from wlbs.scenario.topology import Topology

TOPOLOGY = Topology(2, 1)
(C1,) = TOPOLOGY.clients
ALL = (1 << 4096) - 1
LOWER = (1 << 2048) - 1


def attempt(at_s: float, answered_by: str | None) -> Attempt:
    error = "" if answered_by else Failure.REFUSED.value
    return Attempt("new", at_s, "c1", C1.address, 5001, 80, answered_by, error)


def connection(answered_by: str | None, error: str = "") -> Connection:
    return Connection("lasting", "c1", C1.address, 6001, 80, 0.5, answered_by, 9, 4.0, None, error)


SOUND = Evidence(
    attempts=(attempt(1.0, "h1"), attempt(2.6, "h2"), attempt(5.0, "h1")),
    connections=(connection("h1"), connection("h2")),
    moments=(Moment("drains", 2.0), Moment("stops", 2.5), Moment("begins", 4.0)),
    holdings=(
        Holding("h1", 0, LOWER, 0),
        Holding("h2", 0, ALL ^ LOWER, 0),
        Holding("h1", 1, ALL, 0),
        Holding("h2", 1, 0, 0),
    ),
    nonces={"h1": (1, 2), "h2": (3,)},
)

UNBROKEN = Unbroken("lasting")
NOTHING_NEW = NothingNewAt("h1", "drains", 0.5, until="begins")
FOLLOWS = Follows("drains", "stops", 1.0, figure="drain_ms")
EXACT = TableExact(("h1", "h2"))
FLAGGED = Holding("h2", 1, 0, 3)
HELD_TWICE = Holding("h2", 0, ALL, 0)
HELD_BY_NOBODY = Holding("h2", 0, ALL ^ LOWER ^ (1 << 4095), 0)
UNEVEN = (Holding("h1", 0, LOWER >> 2, 0), Holding("h2", 0, ALL ^ (LOWER >> 2), 0))


def holds(expects: Expects, evidence: Evidence) -> bool:
    scenario = Scenario("try", "two hosts", TOPOLOGY, (), (expects,))
    (judged,) = judge(Observed(scenario, evidence))
    return judged.held


@pytest.mark.parametrize(
    "expects",
    [UNBROKEN, NoneBroken("new"), NOTHING_NEW, FOLLOWS, EXACT, FlagsGone(), NonceChanged("h1")],
    ids=lambda each: type(each).__name__,
)
def test_each_holds_on_a_sound_run_and_not_on_none(expects: Expects) -> None:
    assert holds(expects, SOUND)
    assert not holds(expects, Evidence())


@pytest.mark.parametrize(
    ("expects", "evidence"),
    [
        (UNBROKEN, replace(SOUND, connections=(connection("h1", Failure.RESET),))),
        (UNBROKEN, replace(SOUND, connections=(connection(None, Failure.SILENT),))),
        (NoneBroken("new"), replace(SOUND, attempts=(attempt(1.0, None),))),
        (NOTHING_NEW, replace(SOUND, attempts=(attempt(2.6, "h1"), attempt(2.7, "h2")))),
        (NOTHING_NEW, replace(SOUND, attempts=(attempt(2.4, "h1"), attempt(4.1, "h2")))),
        (FOLLOWS, replace(SOUND, moments=(Moment("drains", 2.0), Moment("stops", 3.5)))),
        (FOLLOWS, replace(SOUND, moments=(Moment("drains", 2.0), Moment("stops", 1.5)))),
        (
            FOLLOWS,
            replace(SOUND, moments=(Moment("drains", 2.0), Moment("stops", 2.5, held=False))),
        ),
        (EXACT, replace(SOUND, holdings=(SOUND.holdings[0], HELD_TWICE, *SOUND.holdings[2:]))),
        (EXACT, replace(SOUND, holdings=(SOUND.holdings[0], HELD_BY_NOBODY, *SOUND.holdings[2:]))),
        (EXACT, replace(SOUND, holdings=(*UNEVEN, *SOUND.holdings[2:]))),
        (EXACT, replace(SOUND, holdings=SOUND.holdings[::2])),
        (FlagsGone(), replace(SOUND, holdings=(*SOUND.holdings, FLAGGED))),
        (NonceChanged("h2"), SOUND),
    ],
)
def test_each_breach_is_caught(expects: Expects, evidence: Evidence) -> None:
    assert not holds(expects, evidence)


def test_connections_of_a_lost_host_are_not_judged() -> None:
    broken = replace(SOUND, connections=(connection("h1"), connection("h2", Failure.SILENT)))
    assert holds(Unbroken("lasting", lost_host="h2"), broken)
    assert not holds(UNBROKEN, broken)


def test_figures_count_what_broke_and_how_long_draining_took() -> None:
    evidence = replace(
        SOUND,
        attempts=(attempt(1.0, None),),
        connections=(connection("h1", Failure.RESET), connection("h2", Failure.SILENT)),
    )
    expects = (Unbroken("lasting", lost_host="h2"), FOLLOWS)
    figures = figures_of(Observed(Scenario("try", "", TOPOLOGY, (), expects), evidence))
    assert (figures["broken"], figures["refused"], figures["drain_ms"]) == (1, 1, 500)


def test_a_table_of_two_hosts_is_not_exact_for_three() -> None:
    assert not holds(TableExact(("h1", "h2", "h3")), SOUND)
