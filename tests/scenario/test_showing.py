# SPDX-License-Identifier: Apache-2.0
"""The demo's runs are judged by how long clients are cut off, and by what a monitor said."""

from dataclasses import replace

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from wlbs.core.address import Mac
from wlbs.core.announcement import Announcement, decode
from wlbs.scenario.evidence import Attempt, Direction, Evidence, Moment, SeenFrame
from wlbs.scenario.expectations import Announced, CutOff, Expects
from wlbs.scenario.judge import figures_of, judge
from wlbs.scenario.judging.observed import Observed
from wlbs.scenario.leaking import frame_of
from wlbs.scenario.report import Expectation
from wlbs.scenario.steps import Leaked, Scenario, SendFrom
from wlbs.scenario.topology import Topology

TOPOLOGY = Topology(2, 1)
H1, H2 = TOPOLOGY.hosts
(C1,) = TOPOLOGY.clients
VMAC = TOPOLOGY.vmac
MOMENTS = (Moment("leak", 1.0), Moment("cure", 3.0))
MONITOR = SendFrom("h2", Leaked.ANNOUNCEMENT, as_device=True)
CUT_OFF = CutOff("h1", "leak", "cure", within_s=0.5)


def observed(expects: Expects, evidence: Evidence) -> Observed:
    scenario = Scenario("try", "", TOPOLOGY, (), (expects,))
    return Observed(scenario, replace(evidence, moments=MOMENTS))


def judged(expects: Expects, evidence: Evidence) -> Expectation:
    (found,) = judge(observed(expects, evidence))
    return found


def tried(*attempts: tuple[float, bool]) -> Evidence:
    """Return evidence of attempts of batch h1: when each began, and whether it was answered."""
    made, frames = [], []
    for port, (at_s, is_answered) in enumerate(attempts, 5001):
        by = "h1" if is_answered else None
        made.append(Attempt("h1", at_s, "c1", C1.address, port, 80, by))
        ip = IP(src=str(C1.address), dst=str(TOPOLOGY.vip))
        syn = Ether(src=str(C1.mac), dst=str(VMAC)) / ip / TCP(sport=port, dport=80, flags="S")
        frames.append(SeenFrame(at_s, "c1", Direction.FROM_NODE, bytes(syn)))
    return Evidence(attempts=tuple(made), frames=tuple(frames))


def announced_by(port: str, device: Mac) -> Evidence:
    frame = frame_of(MONITOR, TOPOLOGY, device)
    return Evidence(frames=(SeenFrame(1.0, port, Direction.FROM_NODE, frame),))


def test_clients_are_cut_off_until_something_is_done() -> None:
    evidence = tried((0.5, True), (1.1, False), (2.9, False), (3.2, True), (3.4, True))
    assert judged(CUT_OFF, evidence).held
    assert judged(CUT_OFF, evidence).seen == "0 of 2 attempts answered, for 2100 ms"
    assert figures_of(observed(CUT_OFF, evidence))["cut_off_ms_h1"] == 2100.0


@pytest.mark.parametrize(
    "attempts",
    [
        ((0.5, True), (1.1, True), (3.2, True)),
        ((1.1, False), (2.0, True), (2.9, False), (3.2, True)),
        ((1.1, False), (2.9, False), (3.6, True)),
        ((1.1, False), (2.9, False)),
        (),
    ],
    ids=["never", "in part", "for too long", "for ever", "nobody tried"],
)
def test_clients_that_are_served_or_stay_cut_off_are_told(
    attempts: tuple[tuple[float, bool], ...],
) -> None:
    assert not judged(CUT_OFF, tried(*attempts)).held


def test_a_moment_that_never_came_shows_nothing() -> None:
    evidence = tried((1.1, False), (3.2, True))
    assert not judged(replace(CUT_OFF, cured="never"), evidence).held
    assert not judged(replace(CUT_OFF, after="never"), evidence).held
    assert not judged(Announced("h2", "never", from_vmac=True), announced_by("h2", VMAC)).held


@pytest.mark.parametrize("is_ours", [True, False])
def test_a_monitor_is_heard_from_the_address_of_its_card(*, is_ours: bool) -> None:
    expects = Announced("h2", "leak", from_vmac=is_ours)
    right, wrong = (VMAC, H2.mac) if is_ours else (H2.mac, VMAC)
    assert judged(expects, announced_by("h2", right)).held
    assert not judged(expects, announced_by("h2", wrong)).held
    assert not judged(expects, announced_by("h1", right)).held
    assert not judged(expects, Evidence()).held


def test_only_what_is_sent_as_the_device_has_the_devices_address() -> None:
    device = frame_of(MONITOR, TOPOLOGY, H2.mac)
    said = decode(device)
    assert isinstance(said, Announcement)
    assert (Mac(device[6:12]), said.adapter) == (H2.mac, H2.mac)
    for order in (MONITOR, replace(MONITOR, as_device=False)):
        assert Mac(frame_of(order, TOPOLOGY)[6:12]) == VMAC
    forged = frame_of(replace(MONITOR, as_device=False), TOPOLOGY, H2.mac)
    assert Mac(forged[6:12]) == VMAC
