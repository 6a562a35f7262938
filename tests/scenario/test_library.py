# SPDX-License-Identifier: Apache-2.0
"""Every scenario refers only to hosts, batches and moments that it has, in any topology."""

import pytest

from wlbs.scenario.library import SCENARIOS, with_topology
from wlbs.scenario.steps import (
    AwaitHolders,
    BeginAttempts,
    CloseConnections,
    EndAttempts,
    OpenConnections,
    Scenario,
    SendAgain,
    SendCookies,
    SendFlows,
    SendFrom,
    Visit,
)
from wlbs.scenario.topology import Topology

LABEL_FIELDS = {"after", "then", "until"}
HOSTS_FIELD = "hosts"
HOST_FIELDS = {"host", "node", "to", "sender", "receiver", "aimed_at", "lost_host"}

EVERYWHERE = [
    with_topology(scenario, topology)
    for scenario in SCENARIOS.values()
    for topology in (Topology(2, 2), Topology(3, 2), Topology(5, 3))
]


LATE = (AwaitHolders(("h1", "h8"), 1), SendCookies("h7"))


def strangers(scenario: Scenario) -> set[str]:
    """Return the names in a scenario that stand for nothing."""
    nodes = {node.name for node in scenario.topology.nodes}
    labels = {getattr(step, "label", "") for step in scenario.steps} | {""}
    opened = {
        step.batch
        for step in scenario.steps
        if isinstance(step, SendFlows | SendAgain | OpenConnections | BeginAttempts | Visit)
    }
    found = set()
    for part in (*scenario.steps, *scenario.expects):
        for name in getattr(part, "__dataclass_fields__", ()):
            value = getattr(part, name)
            is_strange = (
                (name in LABEL_FIELDS and value not in labels)
                or (name in HOST_FIELDS and value not in {None, *nodes})
                or (name in {"batch", "of"} and value not in opened)
            )
            if is_strange:
                found.add(value)
            if name == HOSTS_FIELD:
                found |= set(value) - nodes
    return found


@pytest.mark.parametrize(
    "scenario", EVERYWHERE, ids=lambda each: f"{each.name}-{each.topology.host_count}"
)
def test_a_scenario_speaks_only_of_what_it_has(scenario: Scenario) -> None:
    assert strangers(scenario) == set()
    assert scenario.expects


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=lambda each: each.name)
def test_attempts_that_begin_also_end(scenario: Scenario) -> None:
    begun = [step.batch for step in scenario.steps if isinstance(step, BeginAttempts)]
    ended = [step.batch for step in scenario.steps if isinstance(step, EndAttempts)]
    assert sorted(begun) == sorted(ended)


def test_a_name_that_stands_for_nothing_is_told() -> None:
    small = Scenario(
        "try",
        "",
        Topology(1, 2),
        (SendFrom("h9"), CloseConnections("none"), SendAgain("again", of="never"), *LATE),
        (),
    )
    assert strangers(small) == {"h9", "none", "never", "h8", "h7"}


def test_every_scenario_is_found_by_its_name() -> None:
    assert all(name == scenario.name for name, scenario in SCENARIOS.items())


def test_parts_are_played_by_who_is_there() -> None:
    assert SendFrom("h1") in with_topology(SCENARIOS["serve"], Topology(1, 2)).steps
    assert SendFrom("h2") in with_topology(SCENARIOS["serve"], Topology(2, 2)).steps


def test_a_stranger_has_no_other_topology() -> None:
    with pytest.raises(KeyError):
        with_topology(Scenario("try", "", Topology(), (), ()), Topology())
