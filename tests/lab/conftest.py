# SPDX-License-Identifier: Apache-2.0
"""What the tests of the lab share: a small lab without agents, in which h1 has the virtual IP."""

import os
from collections.abc import Iterator

import pytest

from wlbs.lab.build import build
from wlbs.lab.command import inside, run
from wlbs.lab.names import NODE_INTERFACE, LabNames
from wlbs.lab.sweep import sweep
from wlbs.scenario.topology import Topology


@pytest.fixture(scope="module")
def plain_lab() -> Iterator[tuple[LabNames, Topology]]:
    """Yield a lab of two hosts and two clients; h1 serves as any one host would."""
    if os.geteuid() != 0 and not os.environ.get("STRICT"):
        pytest.skip("a lab needs root")
    names, topology = LabNames(f"p{os.getpid()}"), Topology(2, 2)
    try:
        build(names, topology)
        words = f"ip address add {topology.vip}/32 dev {NODE_INTERFACE}"
        run(inside(names.namespace("h1"), *words.split()))
        yield names, topology
    finally:
        sweep(names.lab)
