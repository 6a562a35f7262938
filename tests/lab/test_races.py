# SPDX-License-Identifier: Apache-2.0
"""`handover-races` holds on this kernel, and tells a wrong claim, cookie, flag or lease."""

import os
import sys

import pytest

from wlbs.datapath.loader import Datapath
from wlbs.lab.build import build, start_cluster
from wlbs.lab.command import inside, run
from wlbs.lab.names import NODE_INTERFACE, LabNames
from wlbs.lab.network import send_cookies
from wlbs.lab.replace import PROGRAMS, replace_filter
from wlbs.lab.run import run_in_lab
from wlbs.lab.sabotage import SABOTAGES
from wlbs.lab.sweep import sweep
from wlbs.lab.wait import wait_until
from wlbs.linux import libbpf, link, namespace
from wlbs.scenario.expectations import Holds
from wlbs.scenario.library import SCENARIOS
from wlbs.scenario.topology import Topology

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 and not os.environ.get("STRICT"), reason="a lab needs root"
)

CAUGHT_BY = {
    "ack-check-off": Holds.KEPT_ONCE,
    "cookie-off": "no attempt of 'burst' is refused, reset or lost",
    "flag-off": "every connection of 'lasting' goes on",
    "lease-off": "what h2 held is kept by others only after its last new flow",
}


@needs_root
def test_hand_overs_break_nothing_and_no_frame_is_kept_twice() -> None:
    report = run_in_lab(SCENARIOS["handover-races"], 1, LabNames(f"r{os.getpid()}"))
    broken = [f"{each.what}: {each.seen}" for each in report.expectations if not each.held]
    assert not broken


@needs_root
@pytest.mark.prove
@pytest.mark.parametrize("name", sorted(CAUGHT_BY))
def test_a_sabotage_is_caught(name: str) -> None:
    names = LabNames(f"r{os.getpid()}")
    report = run_in_lab(SCENARIOS["handover-races"], 1, names, SABOTAGES[name])
    assert CAUGHT_BY[name] in [each.what for each in report.expectations if not each.held]


@needs_root
@pytest.mark.parametrize("variant", sorted(each.name for each in PROGRAMS.glob("*_off.bpf.o")))
def test_another_filter_goes_on_with_the_maps_of_the_one_it_replaces(variant: str) -> None:
    names = LabNames(f"r{os.getpid()}")
    topology = Topology(1, 1)
    try:
        build(names, topology)
        start_cluster(names, topology)
        datapath = Datapath.open(names.pins("h1"))
        try:
            wait_until(datapath.lease_live, "a lease", seconds=10)
            before = _filter_of(names)
            replace_filter(names.pins("h1"), variant.removesuffix(".bpf.o"))
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
        return libbpf.xdp_program(link.find(NODE_INTERFACE).index)
