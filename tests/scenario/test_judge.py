# SPDX-License-Identifier: Apache-2.0
"""Each expectation holds on a sound run and is the one that breaks on its own kind of breach."""

from collections.abc import Iterable
from dataclasses import replace

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import ARP, Ether

from wlbs.core.address import Mac
from wlbs.scenario.evidence import (
    Attempt,
    BridgeEntry,
    Direction,
    Evidence,
    LogEntry,
    NeighbourEntry,
    SeenFrame,
)
from wlbs.scenario.expectations import FairShare, Holds
from wlbs.scenario.judge import figures_of, judge
from wlbs.scenario.judging.observed import Observed
from wlbs.scenario.report import Expectation, Report
from wlbs.scenario.steps import Scenario, SendFlows, SendFrom, Spread
from wlbs.scenario.topology import Node, Topology

TOPOLOGY = Topology(2, 1)
H1, H2 = TOPOLOGY.hosts
(C1,) = TOPOLOGY.clients
SCENARIO = Scenario(
    name="try",
    summary="one connection to each of two hosts",
    topology=TOPOLOGY,
    steps=(SendFlows("b", 80, 2, Spread.PORTS), SendFrom("h2")),
    expects=(FairShare("b", 0.05), *Holds),
)


def sent(node: Node, frame: Ether) -> SeenFrame:
    return SeenFrame(1.0, node.name, Direction.FROM_NODE, bytes(frame))


def got(node: Node, frame: Ether) -> SeenFrame:
    return SeenFrame(1.0, node.name, Direction.TO_NODE, bytes(frame))


def judged(evidence: Evidence) -> tuple[Expectation, ...]:
    return judge(Observed(SCENARIO, evidence))


def to_vip(port: int, flags: str) -> Ether:
    ethernet = Ether(src=str(C1.mac), dst=str(TOPOLOGY.vmac))
    packet = IP(src=str(C1.address), dst=str(TOPOLOGY.vip))
    return ethernet / packet / TCP(sport=port, dport=80, flags=flags)


def from_vip(host: Node, port: int, flags: str) -> Ether:
    ethernet = Ether(src=str(host.mac), dst=str(C1.mac))
    packet = IP(src=str(TOPOLOGY.vip), dst=str(C1.address))
    return ethernet / packet / TCP(sport=80, dport=port, flags=flags)


def arp_request() -> Ether:
    return Ether(src=str(C1.mac), dst="ff:ff:ff:ff:ff:ff") / ARP(
        op=1, hwsrc=str(C1.mac), psrc=str(C1.address), pdst=str(TOPOLOGY.vip)
    )


def own_arp(host: Node, inside: Mac) -> Ether:
    return Ether(src=str(host.mac), dst="ff:ff:ff:ff:ff:ff") / ARP(
        op=1, hwsrc=str(inside), psrc=str(host.address), pdst=str(C1.address)
    )


def arp_answer(host: Node, inside: Mac) -> Ether:
    return Ether(src=str(host.mac), dst=str(C1.mac)) / ARP(
        op=2, hwsrc=str(inside), psrc=str(TOPOLOGY.vip), hwdst=str(C1.mac), pdst=str(C1.address)
    )


def handshake(port: int, host: Node) -> Iterable[SeenFrame]:
    yield sent(C1, to_vip(port, "S"))
    for each in TOPOLOGY.hosts:
        yield got(each, to_vip(port, "S"))
    yield sent(host, from_vip(host, port, "SA"))


SOUND = Evidence(
    attempts=(
        Attempt("b", 1.0, "c1", C1.address, 5001, 80, "h1"),
        Attempt("b", 2.0, "c1", C1.address, 5002, 80, "h2"),
    ),
    frames=(
        sent(C1, arp_request()),
        sent(H1, arp_answer(H1, TOPOLOGY.vmac)),
        sent(H1, own_arp(H1, H1.mac)),
        *handshake(5001, H1),
        *handshake(5002, H2),
    ),
    bridge_entries=(BridgeEntry(0.5, C1.mac, "c1"),),
    neighbours=(NeighbourEntry(0.5, "c1", TOPOLOGY.vip, TOPOLOGY.vmac),),
    log=(LogEntry("h1", C1.address, 5001, 80), LogEntry("h2", C1.address, 5002, 80)),
    counters={"h1": {"OWNER": 1, "NOT_OWNER": 1}, "h2": {"CLAIMED": 1}},
    kept=(got(H1, to_vip(5001, "S")), got(H2, to_vip(5002, "S"))),
)


SECOND_ANSWER = ("each SYN", "no connection is ever answered", "no node sends a packet that")
UNANSWERED = Attempt("x", 3.0, "c1", C1.address, 1, 80, None, "timed out")


def broken(evidence: Evidence) -> list[str]:
    return [each.what for each in judged(evidence) if not each.held]


def plus(*frames: SeenFrame) -> Evidence:
    return replace(SOUND, frames=(*SOUND.frames, *frames))


def test_a_sound_run_holds() -> None:
    assert broken(SOUND) == []
    figures = figures_of(Observed(SCENARIO, SOUND))
    assert figures["share_b_h1"] == 0.5
    assert (figures["connections"], figures["refused"], figures["resets"]) == (2, 0, 0)


def test_silence_proves_nothing() -> None:
    assert len(broken(Evidence())) == len(judged(Evidence()))


@pytest.mark.parametrize(
    ("evidence", "caught_by"),
    [
        (replace(SOUND, frames_lost_count=1), "captures"),
        (
            replace(SOUND, attempts=(*SOUND.attempts, UNANSWERED)),
            "every connection is answered",
        ),
        (replace(SOUND, log=SOUND.log[:1]), "service logs"),
        (replace(SOUND, log=SOUND.log * 2), "service logs"),
        (
            replace(SOUND, counters={"h1": {"OWNER": 1}, "h2": {"FRAGMENT": 2}}),
            "kernel counters",
        ),
        (
            replace(SOUND, counters={"h1": {"OWNER": 2}, "h2": {"OWNER": 1}}),
            ("kernel counters", "the kernels together"),
        ),
        (
            replace(SOUND, kept=(*SOUND.kept, got(H2, to_vip(5001, "S")))),
            "no frame is kept by two hosts",
        ),
        (
            replace(SOUND, bridge_entries=(BridgeEntry(9.0, TOPOLOGY.vmac, "h2"),)),
            "the switch never learns",
        ),
        (plus(sent(H2, Ether(src=str(TOPOLOGY.vmac), type=0x88B5))), "no frame is sent with"),
        (plus(sent(C1, arp_request())), "each ARP request"),
        (plus(sent(H2, arp_answer(H2, TOPOLOGY.vmac))), "each ARP request"),
        (plus(sent(H2, from_vip(H2, 5001, "SA"))), SECOND_ANSWER),
        (plus(sent(H2, own_arp(H2, TOPOLOGY.vmac))), "every host's own ARP"),
        (plus(sent(H2, to_vip(5001, "S"))), "no node sends a packet that another"),
        (plus(sent(C1, to_vip(5003, "S"))), "each SYN"),
        (plus(sent(C1, to_vip(5001, "R"))), "no connection is reset"),
        (
            replace(SOUND, neighbours=(NeighbourEntry(1.0, "c1", TOPOLOGY.vip, H2.mac),)),
            "no client ever holds",
        ),
    ],
)
def test_each_breach_is_caught_by_its_expectation(
    evidence: Evidence, caught_by: str | tuple[str, ...]
) -> None:
    caught = broken(evidence)
    words = (caught_by,) if isinstance(caught_by, str) else caught_by
    assert len(caught) == len(words), caught
    assert all(word in what for word, what in zip(words, caught, strict=True)), caught


def test_a_wrong_arp_answer_is_caught() -> None:
    frames = (sent(C1, arp_request()), sent(H1, arp_answer(H1, H1.mac)), *SOUND.frames[2:])
    caught = broken(replace(SOUND, frames=frames))
    assert caught == ["every ARP answer has the cluster's MAC inside and a station's outside"]


def test_an_unfair_share_is_caught() -> None:
    more = (Attempt("b", 3.0, "c1", C1.address, 5004, 80, "h1"),)
    caught = broken(replace(SOUND, attempts=SOUND.attempts + more))
    assert any("within 5 points" in what for what in caught)


def test_a_report_of_nothing_has_not_passed() -> None:
    assert not Report("s", "w", 1, (), {}).passed
