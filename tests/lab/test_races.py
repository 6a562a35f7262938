# SPDX-License-Identifier: Apache-2.0
"""What `handover-races` needs: filters replaced, cookies of one host, and what each host kept."""

import os
import sys

import pytest

from wlbs.core.buckets import KEY_SIZE, HashKey
from wlbs.datapath.loader import Datapath
from wlbs.lab.agents import start_agents
from wlbs.lab.build import build
from wlbs.lab.command import inside, run
from wlbs.lab.names import NODE_INTERFACE, LabNames
from wlbs.lab.network import send_cookies
from wlbs.lab.sabotage import SABOTAGES, Site
from wlbs.lab.sweep import sweep
from wlbs.lab.wait import wait_until
from wlbs.lab.world import LabWorld
from wlbs.linux import link, namespace
from wlbs.linux.program import xdp_program
from wlbs.scenario.draw import Draws
from wlbs.scenario.judging.observed import Observed
from wlbs.scenario.setup import ORDINARY
from wlbs.scenario.steps import Scenario, SendFlows, Spread
from wlbs.scenario.topology import Topology

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 and not os.environ.get("STRICT"), reason="a lab needs root"
)


@needs_root
@pytest.mark.parametrize("name", ["ack-check-off", "cookie-off"])
def test_another_filter_goes_on_with_the_maps_of_the_one_it_replaces(name: str) -> None:
    """Without the tables and the lease it would break everything, and so be caught for nothing."""
    names, topology = LabNames(f"r{os.getpid()}"), Topology(1, 1)
    key = HashKey(bytes(range(KEY_SIZE)))
    try:
        build(names, topology)
        start_agents(names, topology, ORDINARY, key, {})
        datapath = Datapath.open(names.pins("h1"))
        try:
            wait_until(datapath.lease_live, "a lease", seconds=10)
            before = _filter_of(names)
            SABOTAGES[name].inject(Site(names, topology, key))
            assert _filter_of(names) != before
            kept_count = sum(datapath.counters().values())
            ask = f"import urllib.request as u; print(u.urlopen('http://{topology.vip}/').read())"
            answer = run(inside(names.namespace("c1"), sys.executable, "-c", ask))
            assert "h1" in answer
            assert sum(datapath.counters().values()) > kept_count
        finally:
            datapath.close()
    finally:
        sweep(names.lab)


@needs_root
def test_cookies_are_one_hosts_alone(plain_lab: tuple[LabNames, Topology]) -> None:
    names, topology = plain_lab

    def settings() -> list[str]:
        words = ("sysctl", "-n", "net.ipv4.tcp_syncookies")
        return [run(inside(names.namespace(host.name), *words)).strip() for host in topology.hosts]

    before = settings()
    send_cookies(names, topology, "h2")
    assert settings() == ["0", "2"]
    send_cookies(names, topology, None)
    assert settings() == before == ["1", "1"]


def _filter_of(names: LabNames) -> int | None:
    with namespace.entered(names.namespace("h1")):
        return xdp_program(link.find(NODE_INTERFACE).index)


@needs_root
def test_what_a_filter_drops_is_not_among_what_was_kept() -> None:
    names, topology = LabNames(f"r{os.getpid()}"), Topology(2, 1)
    world = LabWorld(names)
    try:
        world.begin(topology, HashKey(bytes(range(KEY_SIZE))), ORDINARY)
        world.send(Draws(1, topology).flows(SendFlows("b", 80, 20, Spread.PORTS)))
        evidence = world.finish()
    finally:
        world.close()
        sweep(names.lab)
    observed = Observed(Scenario("try", "", topology, (), ()), evidence)
    answered_by = {each.source_port: each.answered_by for each in evidence.attempts}
    assert {each.port for each in observed.kept} == {"h1", "h2"}
    assert {each.flow[1] for each in observed.kept} == set(answered_by)
    assert all(answered_by[each.flow[1]] == each.port for each in observed.kept)
    # Each frame came to both hosts, and one of them kept it.
    assert len(observed.kept) * 2 == sum(1 for each in observed.delivered if each.is_to_vip)
