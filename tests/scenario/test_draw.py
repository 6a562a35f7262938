# SPDX-License-Identifier: Apache-2.0
"""A seed decides everything a run leaves to chance, and decides it fairly."""

from hypothesis import given
from hypothesis import strategies as st

from wlbs.scenario.draw import Draws, draw_key, draw_part
from wlbs.scenario.steps import BeginAttempts, SendFlows, Spread
from wlbs.scenario.topology import Topology, address_behind, network_behind

BY_PORTS = SendFlows("any", 80, 300, Spread.PORTS)
BY_ADDRESSES = SendFlows("single", 81, 400, Spread.ADDRESSES)


@given(seed=st.integers(0, 10_000))
def test_a_seed_repeats_its_run_and_another_does_not(seed: int) -> None:
    assert draw_key(seed) == draw_key(seed)
    assert draw_key(seed) != draw_key(seed + 1)
    assert draw_key(seed) != draw_key(seed, "other")


@given(seed=st.integers(0, 10_000))
def test_a_part_is_a_part(seed: int) -> None:
    assert 0 <= draw_part(seed, "wait 1") < 1
    assert draw_part(seed, "wait 1") != draw_part(seed, "wait 2")


def test_no_two_flows_share_a_source() -> None:
    topology = Topology()
    for step in (BY_PORTS, BY_ADDRESSES):
        flows = Draws(7, topology).flows(step)
        assert len({(flow.source, flow.source_port) for flow in flows}) == step.count
        assert flows == Draws(7, topology).flows(step)
        assert flows != Draws(8, topology).flows(step)


def test_no_port_is_used_twice_in_a_run() -> None:
    draws = Draws(7, Topology())
    first, second = draws.flows(BY_PORTS), draws.flows(BY_ADDRESSES)
    third = draws.attempts(
        BeginAttempts("new", 80, 1.0), 50, lambda flow: flow.source_port % 2 == 0
    )
    ports = [flow.source_port for flow in (*first, *second, *third)]
    assert len(ports) == len(set(ports)) == 750
    assert all(flow.source_port % 2 == 0 for flow in third)
    assert {flow.client for flow in third} == {"c1", "c2"}


def test_addresses_are_those_behind_the_clients() -> None:
    topology = Topology()
    flows = Draws(7, topology).flows(BY_ADDRESSES)
    assert len({flow.source for flow in flows}) == 400
    first, second = topology.clients
    assert flows[0].source == address_behind(first, 1)
    assert flows[1].source == address_behind(second, 1)
    assert network_behind(second) == "10.9.102.0/24"


def test_names_and_addresses_can_be_guessed() -> None:
    topology = Topology(3, 2)
    assert [(node.name, str(node.address), str(node.mac)) for node in topology.nodes] == [
        ("h1", "10.9.0.1", "06:00:00:00:01:01"),
        ("h2", "10.9.0.2", "06:00:00:00:01:02"),
        ("h3", "10.9.0.3", "06:00:00:00:01:03"),
        ("c1", "10.9.0.201", "06:00:00:00:02:01"),
        ("c2", "10.9.0.202", "06:00:00:00:02:02"),
    ]
    assert str(topology.vmac) == "02:bf:0a:09:00:64"
