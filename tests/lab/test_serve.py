# SPDX-License-Identifier: Apache-2.0
"""`serve` holds on this kernel, and each sabotage is caught by the expectation made for it."""

import json
import os

import pytest

from wlbs.cli.exits import Exit
from wlbs.cli.main import run
from wlbs.lab.names import LabNames
from wlbs.lab.run import run_in_lab
from wlbs.lab.sabotage import SABOTAGES
from wlbs.lab.sweep import namespaces_of
from wlbs.scenario.library import SCENARIOS

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 and not os.environ.get("STRICT"), reason="a lab needs root"
)

CAUGHT_BY = {
    "guard-off": "the switch never learns the cluster's MAC",
    "two-owners": "each SYN is answered by exactly one host",
    "arp-from-all": "each ARP request for the virtual IP is answered exactly once",
    "key-differs": "each SYN is answered by exactly one host",
}


@needs_root
def test_serve_holds_and_leaves_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["lab", "run", "serve", "--seed", "1", "--json"]) == Exit.OK
    report = json.loads(capsys.readouterr().out)
    assert report["passed"]
    assert report["figures"]["connections"] == 1460
    assert namespaces_of(f"run{os.getpid()}") == ()


@needs_root
@pytest.mark.prove
@pytest.mark.parametrize("name", sorted(SABOTAGES))
def test_a_sabotage_is_caught(name: str) -> None:
    names = LabNames(f"s{os.getpid()}")
    report = run_in_lab(SCENARIOS["serve"], 1, names, SABOTAGES[name])
    assert CAUGHT_BY[name] in [each.what for each in report.expectations if not each.held]


def test_wrong_words_are_refused_before_anything_is_built() -> None:
    assert run(["lab", "run"]) == Exit.CONFIGURATION
    assert run(["lab", "run", "nothing"]) == Exit.CONFIGURATION
    assert run(["lab", "run", "serve", "--all"]) == Exit.CONFIGURATION
    assert run(["lab", "up", "--name", "No Name"]) == Exit.CONFIGURATION
    assert run(["lab", "up", "--hosts", "0"]) == Exit.CONFIGURATION
