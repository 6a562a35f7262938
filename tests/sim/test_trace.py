# SPDX-License-Identifier: Apache-2.0
"""One seed is one history, whatever the hash seed of the process; another seed is another."""

import os
import subprocess
import sys

from wlbs.core.address import IpAddress
from wlbs.core.census import Census
from wlbs.core.protocol.effects import InstallTable, ReportMembership, SendProbe
from wlbs.core.protocol.events import ConnectionsCounted, HeartbeatReceived, TimerFired
from wlbs.core.rules import HostIndex
from wlbs.core.table import FilterTable
from wlbs.scenario.evidence import Direction
from wlbs.scenario.topology import Shape, Topology
from wlbs.sim.schedule import Schedule
from wlbs.sim.trace import Trace, words

HISTORY = """
from wlbs.scenario.topology import Topology
from wlbs.sim.run import run_in_sim
from wlbs.sim.swarm import drawn_scenario
print(*(run_in_sim(drawn_scenario(seed, Topology()), seed).digest for seed in (1, 2)))
"""

SHAPES = """
from wlbs.core.cluster import Mode
from wlbs.scenario.setup import Setup
from wlbs.scenario.steps import LimitFlooding, Scenario, SendFlows, SendFrom
from wlbs.scenario.steps import SetAgeing, Spread, Wait
from wlbs.scenario.topology import Shape, Topology
from wlbs.sim.run import run_in_sim
STEPS = (
    SendFrom("x1", count=20, interval_s=0.01),
    LimitFlooding(50),
    SendFlows("some", 80, 20, Spread.PORTS),
    SetAgeing(0.2),
    Wait(1.0),
)
for shape in Shape:
    setup = Setup(Mode.IGMP) if shape is Shape.SNOOPING else Setup()
    topology = Topology(3, 2, shape, stranger=True)
    print(run_in_sim(Scenario(shape, "", topology, STEPS, (), setup), 1).digest)
"""


def digests(hash_seed: str, history: str = HISTORY) -> list[str]:
    """Run the same histories in a process of its own."""
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    done = subprocess.run(
        [sys.executable, "-c", history], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_a_history_is_a_function_of_its_seed() -> None:
    first, other = digests("1")
    assert first != other
    assert digests("2") == [first, other]


def test_a_history_is_a_function_of_its_seed_in_every_shape() -> None:
    found = digests("1", SHAPES)
    assert len(set(found)) == len(Shape)
    assert digests("2", SHAPES) == found


def test_a_trace_that_is_not_kept_has_the_same_digest_and_no_lines() -> None:
    kept, forgotten = (Trace(Schedule(), is_kept=is_kept) for is_kept in (True, False))
    for trace in (kept, forgotten):
        trace.write("world", "begins")
        trace.take("h1", TimerFired(), (ReportMembership(frozenset({HostIndex(0)}), "why"),))
        trace.see("h1", Direction.TO_NODE, b"octets")
    assert kept.digest == forgotten.digest
    assert forgotten.lines == []
    assert kept.lines == [
        "    0.000000 world begins",
        "    0.000000 h1 > TimerFired",
        "    0.000000 h1   < ReportMembership present=[0] because=why",
        "    0.000000 h1 out 6f6374657473",
    ]
    digest = kept.digest
    kept.see("h1", Direction.TO_NODE, b"octets")
    assert kept.digest != digest


def test_what_is_long_is_told_in_few_words(tables: tuple[FilterTable, ...]) -> None:
    counts = [each.owners.count(tables[0].own) for each in tables[0].buckets]
    assert words(InstallTable(tables[0])) == f"InstallTable table=(owns {counts}, 0 flagged)"
    census = ConnectionsCounted(Census((1, 0), 7, 2))
    assert words(census) == "ConnectionsCounted census=(2 of 7 foreign)"
    probe = SendProbe(IpAddress.parse("10.9.0.1"), b"data")
    assert words(probe) == "SendProbe to=10.9.0.1 data=" + words(probe)[-8:]
    heard = words(HeartbeatReceived(Topology().hosts[0].mac, bytes(1000)))
    assert len(heard) < 60
