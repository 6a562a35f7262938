# SPDX-License-Identifier: Apache-2.0
"""A captured VMAC is judged by the switch's table, by who was served, and by what agents told."""

from collections.abc import Iterable
from dataclasses import replace

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from wlbs.core.address import Mac, masked_mac
from wlbs.core.cluster import Mode
from wlbs.core.protocol.diagnosing import Finding
from wlbs.scenario.evidence import (
    Attempt,
    BridgeEntry,
    Direction,
    Evidence,
    Moment,
    Said,
    SeenFrame,
)
from wlbs.scenario.expectations import (
    ArrivesMasked,
    Expects,
    Forgotten,
    Holds,
    Learned,
    Names,
    Relayed,
    Served,
    Tells,
    Unserved,
)
from wlbs.scenario.judge import figures_of, judge
from wlbs.scenario.judging.observed import Observed
from wlbs.scenario.leaking import frame_of
from wlbs.scenario.report import Expectation
from wlbs.scenario.setup import Setup
from wlbs.scenario.steps import Leaked, Scenario, SendFrom
from wlbs.scenario.topology import Node, Topology

TOPOLOGY = Topology(3, 1)
H1, H2, H3 = TOPOLOGY.hosts
(C1,) = TOPOLOGY.clients
VMAC = TOPOLOGY.vmac
LEAK = SendFrom("h2", Leaked.ANNOUNCEMENT, count=2, label="leak")

MOMENTS = (Moment("leak", 1.0), Moment("ageing", 3.0))
CAPTURE = BridgeEntry(0.99, VMAC, "h2", gone_s=3.5)
OTHER = BridgeEntry(0.5, C1.mac, "c1")


def judged(expects: Expects, evidence: Evidence, *steps: SendFrom) -> Expectation:
    (found,) = judge(observed(expects, evidence, *steps))
    return found


def observed(expects: Expects, evidence: Evidence, *steps: SendFrom) -> Observed:
    scenario = Scenario("try", "", TOPOLOGY, steps, (expects,), Setup(mode=Mode.UNICAST))
    return Observed(scenario, replace(evidence, moments=MOMENTS))


def syn(port: int, number: int) -> Ether:
    ip = IP(src=str(C1.address), dst=str(TOPOLOGY.vip), id=number)
    return Ether(src=str(C1.mac), dst=str(VMAC)) / ip / TCP(sport=port, dport=80, flags="S", seq=9)


def sent(at_s: float, node: Node, frame: Ether | bytes) -> SeenFrame:
    return SeenFrame(at_s, node.name, Direction.FROM_NODE, bytes(frame))


def tried(*attempts: tuple[float, int]) -> Evidence:
    """Return evidence of attempts of batch h1: when each began, and after how many SYNs it got it.

    With none it got no answer.
    """
    made: list[Attempt] = []
    frames: list[SeenFrame] = []
    for port, (at_s, syn_count) in enumerate(attempts, 5001):
        by = "h1" if syn_count else None
        made.append(Attempt("h1", at_s, "c1", C1.address, port, 80, by))
        frames += (sent(at_s + number, C1, syn(port, number)) for number in range(syn_count or 1))
    return Evidence(tuple(made), frames=tuple(frames), bridge_entries=(OTHER, CAPTURE))


def test_an_entry_at_the_port_is_a_capture() -> None:
    evidence = Evidence(bridge_entries=(OTHER, CAPTURE))
    assert judged(Learned("h2", "leak"), evidence).held
    assert not judged(Learned("h1", "leak"), evidence).held
    assert not judged(Learned("h2", "never"), evidence).held
    assert not judged(Learned("h2", "leak"), Evidence(bridge_entries=(OTHER,))).held
    late, early = replace(CAPTURE, at_s=3.1), replace(CAPTURE, gone_s=0.999)
    assert not judged(Learned("h2", "leak", until="ageing"), Evidence(bridge_entries=(late,))).held
    assert not judged(Learned("h2", "leak"), Evidence(bridge_entries=(early,))).held


def test_an_entry_that_has_gone_is_forgotten() -> None:
    evidence = Evidence(bridge_entries=(OTHER, CAPTURE))
    assert judged(Forgotten("ageing", 1.0), evidence).held
    assert not judged(Forgotten("ageing", 0.1), evidence).held
    assert not judged(Forgotten("never", 1.0), evidence).held
    assert not judged(Forgotten("ageing", 1.0), Evidence()).held, "a table that nobody saw"
    stays = Evidence(bridge_entries=(replace(CAPTURE, gone_s=None),))
    assert not judged(Forgotten("ageing", 1.0), stays).held


@pytest.mark.parametrize(
    ("attempts", "is_served", "is_unserved"),
    [
        ([(1.5, 1), (1.6, 1)], True, False),
        ([(1.5, 1), (1.6, 2)], False, False),
        ([(1.5, 2), (1.6, 0)], False, True),
        ([(0.9, 0), (3.0, 0), (1.5, 1)], True, False),
        ([(0.9, 1), (3.0, 1)], False, False),
    ],
)
def test_whoever_gets_an_answer_to_the_first_syn_is_served(
    attempts: list[tuple[float, int]], *, is_served: bool, is_unserved: bool
) -> None:
    evidence = tried(*attempts)
    assert judged(Served("h1", "leak", 0.1, until="ageing"), evidence).held == is_served
    assert judged(Unserved("h1", "leak", 0.1, until="ageing"), evidence).held == is_unserved


def test_nothing_is_served_after_what_never_came() -> None:
    assert not judged(Served("h1", "never"), tried((1.5, 1))).held
    assert not judged(Unserved("h1", "never"), tried((1.5, 0))).held


RELAYED = Relayed(("h1",), "h2", "leak", 300, until="ageing")


@pytest.mark.parametrize(
    ("attempts", "relay_ms"),
    [
        ([(0.9, 0), (1.0, 2), (1.1, 1), (1.2, 1)], 110),
        ([(1.0, 2), (1.1, 1), (1.2, 0), (1.5, 1), (3.1, 2)], 510),
        ([(1.0, 1), (1.1, 1)], None),
        ([(1.0, 1), (1.1, 0)], None),
    ],
)
def test_a_relay_is_as_quick_as_the_first_of_a_row_that_is_served(
    attempts: list[tuple[float, int]], relay_ms: float | None
) -> None:
    evidence = tried(*attempts)
    assert judged(RELAYED, evidence).held == (relay_ms is not None and relay_ms <= 300)
    assert figures_of(observed(RELAYED, evidence)).get("relay_ms") == relay_ms


def test_without_a_capture_there_is_nothing_to_relay() -> None:
    evidence = replace(tried((1.0, 2), (1.1, 1)), bridge_entries=(OTHER,))
    assert not judged(RELAYED, evidence).held


def announcements(source: Mac, count: int) -> Iterable[SeenFrame]:
    data = frame_of(LEAK, TOPOLOGY)
    return [sent(1.0, H2, data[:6] + source.octets + data[12:])] * count


MASKED = masked_mac(TOPOLOGY.vip, 2)


@pytest.mark.parametrize(
    ("masked_count", "bare_count", "held"),
    [(2, 0, True), (1, 0, False), (2, 1, False), (0, 0, False)],
)
def test_what_is_sent_through_the_guard_arrives_masked(
    masked_count: int, bare_count: int, *, held: bool
) -> None:
    frames = (*announcements(MASKED, masked_count), *announcements(VMAC, bare_count))
    assert judged(ArrivesMasked("h2"), Evidence(frames=frames), LEAK).held == held


def relayed(at_s: float, by: Node, to: Node) -> SeenFrame:
    frame = syn(5001, 0)
    frame.src, frame.dst = str(by.mac), str(to.mac)
    return sent(at_s, by, frame)


def test_no_frame_is_sent_on_more_than_twice() -> None:
    once, again = sent(1.0, C1, syn(5001, 0)), relayed(1.0, H2, H1)
    on, too_often = relayed(1.1, H1, H3), relayed(1.2, H3, H2)
    assert judged(Holds.SENT_THRICE, Evidence(frames=(once, again, on))).held
    found = judged(Holds.SENT_THRICE, Evidence(frames=(once, again, on, too_often)))
    assert not found.held
    assert judged(Holds.SENT_THRICE, Evidence(frames=(once, once, again, on, too_often))).held
    assert not judged(Holds.SENT_THRICE, Evidence()).held


def test_what_a_host_sends_on_is_no_syn_of_its_client() -> None:
    evidence = tried((1.5, 1))
    frames = (*evidence.frames, sent(1.5, H2, syn(5001, 0)))
    assert judged(Served("h1", "leak"), replace(evidence, frames=frames)).held


def said(at_s: float, host: str, finding: Finding, captor: str) -> Said:
    fields = {"event": "capture", "means": finding, "captor": captor, "because": "netmon did it"}
    return Said(at_s, host, "capture", fields)


CAPTURED = Names(Finding.CAPTURED, "h2", "leak", 1.0, until="ageing")


@pytest.mark.parametrize(
    ("lines", "held"),
    [
        ([said(1.2, "h1", Finding.CAPTURED, "2")], True),
        ([said(1.2, "h1", Finding.HEALTHY, ""), said(1.3, "h3", Finding.CAPTURED, "2")], True),
        ([said(2.2, "h1", Finding.CAPTURED, "2")], False),
        ([said(0.2, "h1", Finding.CAPTURED, "2")], False),
        ([said(1.2, "h1", Finding.PARTLY_CAPTURED, "2")], False),
        ([said(1.2, "h1", Finding.CAPTURED, "3")], False),
        ([said(1.2, "h1", Finding.CAPTURED, "2"), said(2.5, "h3", Finding.CAPTURED, "3")], False),
        ([said(1.2, "h1", Finding.CAPTURED, "2"), said(3.5, "h3", Finding.CAPTURED, "3")], True),
        ([], False),
    ],
)
def test_the_cause_is_named_in_time_and_nobody_else_is_blamed(
    lines: list[Said], *, held: bool
) -> None:
    assert judged(CAPTURED, Evidence(said=tuple(lines))).held == held


def test_a_cause_may_have_been_named_at_any_time() -> None:
    evidence = Evidence(said=(said(-1.0, "h1", Finding.BLOCKED, ""),))
    assert judged(Names(Finding.BLOCKED, None, "", 0.0), evidence).held
    assert not judged(Names(Finding.STRANGER, None, "", 0.0), evidence).held
    assert not judged(Names(Finding.BLOCKED, None, "never", 9.0), evidence).held


def test_what_a_host_tells_is_judged_by_its_words() -> None:
    evidence = Evidence(said=(said(1.2, "h2", Finding.CAPTURED, "2"),))
    assert judged(Tells("h2", ("netmon", Finding.CAPTURED), "leak", 1.0), evidence).held
    assert not judged(Tells("h2", ("netmon", "lldpd"), "leak", 1.0), evidence).held
    assert not judged(Tells("h1", ("netmon",), "leak", 1.0), evidence).held
    assert not judged(Tells("h2", ("netmon",), "ageing", 1.0), evidence).held
    assert not judged(Tells("h2", ("netmon",), "never", 9.0), evidence).held


def test_a_frame_that_is_none_of_these_is_nobody_s() -> None:
    noise = (sent(1.0, H2, Ether(src=str(H2.mac), type=0x88B5) / Raw(b"x")),)
    assert not judged(Holds.SENT_THRICE, Evidence(frames=noise)).held
