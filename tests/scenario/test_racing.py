# SPDX-License-Identifier: Apache-2.0
"""Whether a race of a hand-over took place, and what was kept twice: from frames behind filters."""

from dataclasses import replace

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from wlbs.core.reason import Reason
from wlbs.scenario.evidence import Attempt, Direction, Evidence, Moment, SeenFrame
from wlbs.scenario.expectations import Expects, FinishedLate, Holds, KeptAs, OpenedTwice
from wlbs.scenario.judge import judge
from wlbs.scenario.judging.observed import Observed
from wlbs.scenario.report import Expectation
from wlbs.scenario.steps import Scenario
from wlbs.scenario.topology import Node, Topology

TOPOLOGY = Topology(2, 1)
H1, H2 = TOPOLOGY.hosts
(C1,) = TOPOLOGY.clients
MOVED_S = 2.0
EVIDENCE = Evidence(
    attempts=(Attempt("races", 1.0, "c1", C1.address, 5001, 80, "h1"),),
    moments=(Moment("moved", MOVED_S),),
)


def segment(flags: str, *, number: int = 7, sequence: int = 100) -> Ether:
    """Return what the client sends; ``number`` is the identification of its IPv4 packet."""
    ip = IP(src=str(C1.address), dst=str(TOPOLOGY.vip), id=number)
    tcp = TCP(sport=5001, dport=80, flags=flags, seq=sequence)
    return Ether(src=str(C1.mac), dst=str(TOPOLOGY.vmac)) / ip / tcp


def sent(at_s: float, frame: Ether) -> SeenFrame:
    return SeenFrame(at_s, "c1", Direction.FROM_NODE, bytes(frame))


def kept(at_s: float, host: Node, frame: Ether) -> SeenFrame:
    """Return a frame behind a host's filter, its destination rewritten."""
    frame = frame.copy()
    frame.dst = str(host.mac)
    return SeenFrame(at_s, host.name, Direction.TO_NODE, bytes(frame))


def judged(expects: Expects, *frames: SeenFrame, of: Evidence = EVIDENCE) -> Expectation:
    evidence = replace(
        of,
        frames=tuple(each for each in frames if each.direction is Direction.FROM_NODE),
        kept=tuple(each for each in frames if each.direction is Direction.TO_NODE),
    )
    scenario = Scenario("try", "two hosts, one client", TOPOLOGY, (), (expects,))
    (found,) = judge(Observed(scenario, evidence))
    return found


SYN, ACK = segment("S"), segment("A", number=8, sequence=101)
RESENT = segment("S", number=9)


def test_a_frame_that_one_host_keeps_is_kept_once() -> None:
    frames = (sent(1.0, SYN), kept(1.0, H1, SYN), sent(1.1, ACK), kept(1.1, H1, ACK))
    assert judged(Holds.KEPT_ONCE, *frames).held


def test_a_frame_that_two_hosts_keep_is_kept_twice() -> None:
    frames = (sent(1.0, SYN), sent(1.1, ACK), kept(1.1, H1, ACK), kept(1.2, H2, ACK))
    found = judged(Holds.KEPT_ONCE, *frames)
    assert not found.held
    assert found.at_s == 1.2
    assert "ACK of 10.9.0.201:5001 to port 80 at 1.100 s by h1 and h2" in found.seen


def test_what_is_sent_again_may_be_kept_again_by_another() -> None:
    """By its identification, or where that is always the same by having been sent twice."""
    frames = (sent(1.0, SYN), kept(1.0, H1, SYN))
    assert judged(Holds.KEPT_ONCE, *frames, sent(2.0, RESENT), kept(2.0, H2, RESENT)).held
    assert judged(Holds.KEPT_ONCE, *frames, sent(2.0, SYN), kept(2.0, H2, SYN)).held
    assert not judged(Holds.KEPT_ONCE, *frames, kept(2.0, H2, SYN)).held


def test_frames_behind_a_filter_that_are_not_the_clusters_say_nothing() -> None:
    other = Ether(src=str(C1.mac), dst=str(H1.mac), type=0x88B5) / bytes(46)
    assert not judged(Holds.KEPT_ONCE, kept(1.0, H1, other)).held


@pytest.mark.parametrize(("count", "held"), [(1, True), (2, True), (3, False)])
def test_kernels_may_count_no_more_than_was_sent(count: int, held: bool) -> None:  # noqa: FBT001
    counters = {"h1": {"OWNER": 1, "NOT_OWNER": 5}, "h2": {"CLAIMED": count - 1}}
    evidence = replace(EVIDENCE, counters=counters)
    assert judged(Holds.COUNTED_ONCE, sent(1.0, SYN), sent(1.1, ACK), of=evidence).held is held


def test_only_a_hosts_reset_is_a_hosts() -> None:
    answer = IP(src=str(TOPOLOGY.vip), dst=str(C1.address)) / TCP(sport=80, dport=5001, flags="SA")
    accepted = SeenFrame(1.0, "h1", Direction.FROM_NODE, bytes(Ether() / answer))
    answer[TCP].flags = "R"
    reset = SeenFrame(1.2, "h2", Direction.FROM_NODE, bytes(Ether() / answer))
    refused = sent(1.1, segment("R"))
    assert judged(Holds.NO_HOST_RESET, accepted, refused).held
    found = judged(Holds.NO_HOST_RESET, accepted, refused, reset)
    assert not found.held
    assert "h2 resets" in found.seen


def test_a_host_has_kept_what_its_kernel_counts() -> None:
    evidence = replace(EVIDENCE, counters={"h1": {"COOKIE": 3}, "h2": {"COOKIE": 0}})
    assert judged(KeptAs("h1", Reason.COOKIE), of=evidence).held
    assert not judged(KeptAs("h2", Reason.COOKIE), of=evidence).held
    assert not judged(KeptAs("h1", Reason.CLAIMED), of=evidence).held


def test_a_syn_is_opened_twice_if_another_host_keeps_it_when_it_is_sent_again() -> None:
    assert judged(OpenedTwice("races"), kept(1.0, H1, SYN), kept(2.0, H2, RESENT)).held
    assert not judged(OpenedTwice("races"), kept(1.0, H1, SYN), kept(2.0, H1, RESENT)).held
    anew = segment("S", sequence=900)
    assert not judged(OpenedTwice("races"), kept(1.0, H1, SYN), kept(2.0, H2, anew)).held
    assert not judged(OpenedTwice("others"), kept(1.0, H1, SYN), kept(2.0, H2, RESENT)).held


@pytest.mark.parametrize(
    ("syn_s", "ack_s", "host", "held"),
    [
        (1.0, 2.5, H1, True),
        (1.0, 1.5, H1, False),
        (2.1, 2.5, H1, False),
        (1.0, 2.5, H2, False),
    ],
)
def test_a_handshake_is_late_if_the_move_came_between(
    syn_s: float,
    ack_s: float,
    host: Node,
    held: bool,  # noqa: FBT001
) -> None:
    frames = (kept(syn_s, host, SYN), kept(ack_s, host, ACK))
    assert judged(FinishedLate("races", "h1", "moved"), *frames).held is held


def test_a_move_that_never_came_has_nothing_after_it() -> None:
    found = judged(FinishedLate("races", "h1", "gone"), kept(1.0, H1, SYN), kept(2.5, H1, ACK))
    assert not found.held
