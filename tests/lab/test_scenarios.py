# SPDX-License-Identifier: Apache-2.0
"""Scenarios hold on this kernel, and each sabotage is caught by the expectation made for it."""

import json
import os

import pytest

from wlbs.cli.exits import Exit
from wlbs.cli.main import run
from wlbs.lab.names import LabNames
from wlbs.lab.run import run_in_lab
from wlbs.lab.sabotage import SABOTAGES
from wlbs.lab.sweep import namespaces_of
from wlbs.scenario.expectations import Holds
from wlbs.scenario.library import SCENARIOS

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 and not os.environ.get("STRICT"), reason="a lab needs root"
)

CAUGHT_BY = {
    "guard-off": "the switch never learns the cluster's MAC",
    "two-owners": "each SYN is answered by exactly one host",
    "arp-from-all": "each ARP request for the virtual IP is answered exactly once",
    "key-differs": "each SYN is answered by exactly one host",
    "ack-check-off": Holds.KEPT_ONCE,
    "cookie-off": "no attempt of 'burst' is refused, reset or lost",
    "lease-off": "what h2 held is kept by others only after its last new flow",
    "flag-off": "every connection of 'meanwhile' goes on",
    "relay-off": "all are served again within 300 ms of 'leak'",
    "detect-off": "all are served again within 300 ms of 'leak'",
}

SHORT = ("rolling", "stall", "q258609-w2k")
"""What `make test` has time for beside `serve` and the demo; the rest is for `prove`."""


@needs_root
def test_serve_holds_and_leaves_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["lab", "run", "serve", "--seed", "1", "--json"]) == Exit.OK
    report = json.loads(capsys.readouterr().out)
    assert report["passed"]
    assert report["figures"]["connections"] == 1460
    assert namespaces_of(f"run{os.getpid()}") == ()


@needs_root
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in SHORT else pytest.mark.prove)
        for name in SCENARIOS
        if name not in {"serve", "show-nt4", "show-heal", "show-stealth"}
    ],
)
def test_a_scenario_holds(name: str) -> None:
    report = run_in_lab(SCENARIOS[name], 1, LabNames(f"n{os.getpid()}"))
    assert [f"{each.what}: {each.seen}" for each in report.expectations if not each.held] == []


@needs_root
@pytest.mark.prove
@pytest.mark.parametrize("name", sorted(SABOTAGES))
def test_a_sabotage_is_caught(name: str) -> None:
    sabotage = SABOTAGES[name]
    names = LabNames(f"s{os.getpid()}")
    report = run_in_lab(SCENARIOS[sabotage.caught_in], 1, names, sabotage)
    assert CAUGHT_BY[name] in [each.what for each in report.expectations if not each.held]


@needs_root
@pytest.mark.prove
@pytest.mark.parametrize(
    ("name", "caught_by"),
    [
        ("flag-off", "every connection of 'lasting' goes on"),
        ("lease-off", "what h2 held is kept by others only after its last new flow"),
    ],
)
def test_a_hand_over_shows_what_flags_and_leases_are_for(name: str, caught_by: str) -> None:
    names = LabNames(f"s{os.getpid()}")
    report = run_in_lab(SCENARIOS["handover-races"], 1, names, SABOTAGES[name])
    assert caught_by in [each.what for each in report.expectations if not each.held]


def test_wrong_words_are_refused_before_anything_is_built() -> None:
    assert run(["lab", "run"]) == Exit.CONFIGURATION
    assert run(["lab", "run", "nothing"]) == Exit.CONFIGURATION
    assert run(["lab", "run", "serve", "--all"]) == Exit.CONFIGURATION
    assert run(["lab", "up", "--name", "No Name"]) == Exit.CONFIGURATION
    assert run(["lab", "up", "--hosts", "0"]) == Exit.CONFIGURATION
