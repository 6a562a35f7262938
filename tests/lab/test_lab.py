# SPDX-License-Identifier: Apache-2.0
"""A lab comes up, serves, and goes away whole, whatever happened to whoever made it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from wlbs.lab.build import build, status
from wlbs.lab.command import inside, run
from wlbs.lab.names import LabNames, lab_of_namespace, node_of_namespace
from wlbs.lab.sweep import labs_found, namespaces_of, sweep
from wlbs.lab.wait import wait_until
from wlbs.linux.error import LinuxError
from wlbs.scenario.topology import Topology

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 and not os.environ.get("STRICT"), reason="a lab needs root"
)


@pytest.fixture
def names() -> Iterator[LabNames]:
    lab = LabNames(f"t{os.getpid()}")
    yield lab
    sweep(lab.lab)


def test_namespaces_tell_their_lab_and_node() -> None:
    assert lab_of_namespace("wlbs-lab-h12") == "lab"
    assert node_of_namespace("wlbs-lab-h12") == "h12"
    assert lab_of_namespace("wlbs-other") is None
    assert node_of_namespace("h1") is None


@needs_root
def test_a_lab_serves_each_host_and_goes_away(names: LabNames) -> None:
    build(names, Topology(2, 1))
    nodes = {node.name: node for node in status(names)}
    assert sorted(nodes) == ["c1", "h1", "h2", "s1"]
    assert nodes["h1"].service
    ask = "import urllib.request as u; print(u.urlopen('http://10.9.0.2/').read().decode())"
    answer = run(inside(names.namespace("c1"), sys.executable, "-c", ask))
    assert answer.strip() == "h2"
    assert sweep(names.lab) > 0
    assert namespaces_of(names.lab) == ()
    assert names.lab not in labs_found()
    assert sweep(names.lab) == 0


@needs_root
def test_building_twice_replaces_the_first(names: LabNames) -> None:
    build(names, Topology(3, 1))
    build(names, Topology(1, 1))
    assert [node.name for node in status(names)] == ["h1", "c1", "s1"]


@needs_root
@pytest.mark.parametrize("namespace_count", [1, 3, 4])
def test_a_sweep_cleans_up_after_a_kill(names: LabNames, namespace_count: int) -> None:
    words = (
        "from wlbs.lab.build import build; from wlbs.lab.names import LabNames;"
        "from wlbs.scenario.topology import Topology;"
        f"build(LabNames({names.lab!r}), Topology(2, 1))"
    )
    with subprocess.Popen((sys.executable, "-c", words)) as builder:
        wait_until(
            lambda: len(namespaces_of(names.lab)) >= namespace_count, "namespaces", seconds=10
        )
        builder.send_signal(signal.SIGKILL)
    sweep(names.lab)
    assert namespaces_of(names.lab) == ()
    assert not names.state.exists()
    build(names, Topology(2, 1))
    assert all(node.exists for node in status(names))


@needs_root
def test_a_lab_that_is_not_there_is_named(names: LabNames) -> None:
    with pytest.raises(LinuxError, match="there is no lab named"):
        status(names)
