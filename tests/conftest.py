# SPDX-License-Identifier: Apache-2.0
"""One small cluster for every test, and what a skip means.

The cluster has three hosts, two virtual IPs and two rules. Knows no frame and no verdict; each test
says what it sends and expects.
"""

import os
from collections.abc import Generator

import pytest
from tests.core.protocol.bus import Bus

from wlbs.core.address import IpAddress
from wlbs.core.buckets import HashKey
from wlbs.core.cluster import Cluster, Host, Mode
from wlbs.core.rules import Affinity, PortRule, Protocol
from wlbs.core.table import FilterTable


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """Three hosts serve 10.0.0.1 and 10.0.0.2: TCP 80-89 by connection, UDP 53 by client."""
    return Cluster(
        name="web",
        mode=Mode.STEALTH,
        vips=(IpAddress.parse("10.0.0.1"), IpAddress.parse("10.0.0.2")),
        hosts=tuple(
            Host(priority, f"host{priority}", IpAddress.parse(f"10.0.0.{10 + priority}"))
            for priority in (3, 1, 2)
        ),
        rules=(
            PortRule(80, 89, Protocol.TCP, affinity=Affinity.NONE),
            PortRule(53, 53, Protocol.UDP, affinity=Affinity.SINGLE),
        ),
        key=HashKey(bytes(range(16))),
        heartbeat_key=bytes(range(32)),
    )


@pytest.fixture(scope="session")
def tables(cluster: Cluster) -> tuple[FilterTable, ...]:
    """Return the tables of hosts 1, 2 and 3, all converged; station MACs end in 11, 12 and 13."""
    bus = Bus(cluster)
    bus.add(1, 2, 3)
    bus.start()
    bus.run_until(lambda: bus.is_exact("h1", "h2", "h3"), within_ms=1000)
    return tuple(bus[name].table for name in ("h1", "h2", "h3"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that was skipped where STRICT is set: in CI a missing privilege is a fault."""
    del item, call
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("STRICT"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and STRICT is set: {report.longrepr}"
    return report
