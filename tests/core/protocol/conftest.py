# SPDX-License-Identifier: Apache-2.0
"""The buses that stories begin with: three hosts or two, converged and with nothing flagged."""

import dataclasses

import pytest
from tests.core.protocol.bus import Bus

from wlbs.core.cluster import Cluster


@pytest.fixture
def bus(cluster: Cluster) -> Bus:
    """Return three machines, all converged and nothing flagged."""
    return converged(Bus(cluster), 3)


@pytest.fixture
def pair(cluster: Cluster) -> Bus:
    """Return two machines of a cluster of two, converged and nothing flagged."""
    hosts = tuple(host for host in cluster.hosts if host.priority < 3)
    return converged(Bus(dataclasses.replace(cluster, hosts=hosts)), 2)


def converged(bus: Bus, count: int) -> Bus:
    """Let machines begin and converge."""
    bus.add(*range(1, count + 1))
    bus.start()
    names = tuple(bus.machines)
    bus.run_until(lambda: bus.is_exact(*names), within_ms=600)
    return bus
