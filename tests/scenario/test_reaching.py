# SPDX-License-Identifier: Apache-2.0
"""Whom frames reach beside the host that is meant: each judge holds once and breaks once."""

from dataclasses import replace

import pytest

from wlbs.core.cluster import Mode
from wlbs.scenario.evidence import Attempt, Direction, Evidence, SeenFrame
from wlbs.scenario.expectations import Bystanders, Holds, Visited
from wlbs.scenario.judge import figures_of, judge
from wlbs.scenario.judging.observed import Observed
from wlbs.scenario.report import Expectation
from wlbs.scenario.setup import ORDINARY, Setup
from wlbs.scenario.steps import Scenario
from wlbs.scenario.topology import Node, Topology
from wlbs.sim.frames import Path, TcpSegment, arp_request, ethernet, forwarded, tcp

TOPOLOGY = Topology(2, 1, stranger=True)
H1, H2 = TOPOLOGY.hosts
(C1,) = TOPOLOGY.clients
BROADCAST = b"\xff" * 6
SYN = tcp(TcpSegment(Path(C1.address, 5000, TOPOLOGY.vip, 80), 1, 0, 0x02))


def visit(visitor: Node, answered_by: str | None) -> Attempt:
    own = (visitor.name, visitor.address, 6000, 80)
    return Attempt("v", 1.0, *own, answered_by, to_vip=False)


ALL_VISITS = (visit(H1, "h2"), visit(H2, "h1"), visit(C1, "h1"), visit(C1, "h2"))


def judged(
    evidence: Evidence, *expects: Holds | Visited | Bystanders, setup: Setup = ORDINARY
) -> tuple[Expectation, ...]:
    scenario = Scenario("try", "", TOPOLOGY, (), expects, setup)
    return judge(Observed(scenario, evidence))


def at(port: str, direction: Direction, packet: bytes = SYN) -> SeenFrame:
    return SeenFrame(1.0, port, direction, ethernet(TOPOLOGY.vmac, C1.mac, 0x0800, packet))


@pytest.mark.parametrize(
    ("attempts", "held"),
    [
        (ALL_VISITS, True),
        ((), False),
        (ALL_VISITS[1:], False),
        ((*ALL_VISITS[:3], visit(C1, None)), False),
        ((*ALL_VISITS[:3], visit(C1, "h1")), False),
    ],
)
def test_every_node_reaches_every_host_by_its_own_address(
    attempts: tuple[Attempt, ...],
    held: bool,  # noqa: FBT001 - what the case expects
) -> None:
    """Q197864, Q238524."""
    (found,) = judged(Evidence(attempts=attempts), Visited("v"))
    assert found.held == held, found.seen


@pytest.mark.parametrize(("copies", "held"), [(0, True), (1, False)])
def test_a_bystander_gets_no_more_than_its_part(copies: int, held: bool) -> None:  # noqa: FBT001
    frames = (at("c1", Direction.FROM_NODE), *[at("x1", Direction.TO_NODE)] * copies)
    evidence = Evidence(frames=frames)
    (found,) = judged(evidence, Bystanders(0.5))
    assert found.held == held
    observed = Observed(Scenario("try", "", TOPOLOGY, (), (Bystanders(0.5),)), evidence)
    assert figures_of(observed)["bystander_share"] == copies


def test_without_traffic_or_bystander_nothing_is_shown() -> None:
    (found,) = judged(Evidence(), Bystanders(1.0))
    assert not found.held


def test_a_packet_that_a_host_sends_on_is_seen_although_it_has_changed() -> None:
    """As with ip_forward=1 and the cluster's MAC on the interface: 20 datagrams arrive as 40."""
    once = Evidence(frames=(at("c1", Direction.FROM_NODE), at("h1", Direction.TO_NODE)))
    (found,) = judged(once, Holds.SENT_ONCE)
    assert found.held
    twice = replace(once, frames=(*once.frames, at("h2", Direction.FROM_NODE, forwarded(SYN))))
    (found,) = judged(twice, Holds.SENT_ONCE)
    assert not found.held
    assert "c1's by h2" in found.seen


@pytest.mark.parametrize(
    ("mode", "inside", "outside", "held"),
    [
        (Mode.STEALTH, "own", "own", True),
        (Mode.MULTICAST, "own", "own", True),
        (Mode.MULTICAST, "vmac", "own", False),
        (Mode.UNICAST, "masked", "masked", True),
        (Mode.UNICAST, "vmac", "masked", False),
        (Mode.UNICAST, "own", "own", False),
    ],
)
def test_a_hosts_own_arp_names_what_it_shows(
    mode: Mode,
    inside: str,
    outside: str,
    held: bool,  # noqa: FBT001 - what the case expects
) -> None:
    """960916: in mode multicast the NIC's address; Q197864: in mode unicast the masked one."""
    setup = Setup(mode)
    observed = Observed(Scenario("try", "", TOPOLOGY, (), (), setup), Evidence())
    macs = {
        "own": H2.mac,
        "vmac": observed.cluster.vmac,
        "masked": Setup(Mode.UNICAST)
        .cluster(TOPOLOGY, observed.cluster.key)
        .masked_mac(observed.cluster.hosts[1].index, H2.mac),
    }
    body = arp_request(macs[inside], H2.address, C1.address)
    frame = BROADCAST + macs[outside].octets + b"\x08\x06" + body
    seen = SeenFrame(1.0, "h2", Direction.FROM_NODE, frame)
    (found,) = judged(Evidence(frames=(seen,)), Holds.OWN_ARP_TRUE, setup=setup)
    assert found.held == held, found.seen
    before = replace(seen, at_s=-0.1)
    (found,) = judged(Evidence(frames=(before,)), Holds.OWN_ARP_TRUE, setup=setup)
    assert not found.held
