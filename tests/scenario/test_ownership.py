# SPDX-License-Identifier: Apache-2.0
"""Who may answer a connection, and when: judged on the segments that switch ports saw."""

from dataclasses import replace

from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from wlbs.scenario.evidence import Attempt, Direction, Evidence, Moment, SeenFrame
from wlbs.scenario.expectations import Expects, Holds, LeaseMargin, TakenOver
from wlbs.scenario.judge import figures_of, judge
from wlbs.scenario.judging.observed import Observed
from wlbs.scenario.report import Expectation
from wlbs.scenario.steps import BeginAttempts, Deed, Do, Scenario
from wlbs.scenario.topology import Node, Topology

TOPOLOGY = Topology(2, 1)
H1, H2 = TOPOLOGY.hosts
(C1,) = TOPOLOGY.clients
OUR_SEQUENCE = {"h1": 1000, "h2": 2000}


def scenario(*expects: Expects) -> Scenario:
    steps = (BeginAttempts("aimed", 80, 0.005, aimed_at="h2"),)
    return Scenario("try", "two hosts, one client", TOPOLOGY, steps, expects)


def client(at_s: float, flags: str, *, port: int = 5001, after: Node | None = None) -> SeenFrame:
    """Return what the client sends; with ``after`` it acknowledges that host's SYN-ACK."""
    acknowledged = OUR_SEQUENCE[after.name] + 1 if after else 0
    segment = TCP(sport=port, dport=80, flags=flags, seq=7 if flags == "S" else 8, ack=acknowledged)
    frame = (
        Ether(src=str(C1.mac), dst=str(TOPOLOGY.vmac))
        / IP(src=str(C1.address), dst=str(TOPOLOGY.vip))
        / segment
    )
    return SeenFrame(at_s, "c1", Direction.FROM_NODE, bytes(frame))


def host(at_s: float, node: Node, flags: str, *, port: int = 5001) -> SeenFrame:
    """Return what a host sends from the virtual IP."""
    frame = (
        Ether(src=str(node.mac), dst=str(C1.mac))
        / IP(src=str(TOPOLOGY.vip), dst=str(C1.address))
        / TCP(sport=80, dport=port, flags=flags, seq=OUR_SEQUENCE[node.name])
    )
    return SeenFrame(at_s, node.name, Direction.FROM_NODE, bytes(frame))


def heard(at_s: float, sender: Node, receiver: Node) -> SeenFrame:
    """Return a heartbeat as the switch hands it to another host."""
    frame = Ether(src=str(sender.mac), dst="ff:ff:ff:ff:ff:ff", type=0x886F) / bytes(46)
    return SeenFrame(at_s, receiver.name, Direction.TO_NODE, bytes(frame))


def attempt(at_s: float, port: int, answered_by: str | None) -> Attempt:
    return Attempt("aimed", at_s, "c1", C1.address, port, 80, answered_by)


def ownership(*frames: SeenFrame) -> Expectation:
    (judged,) = judge(Observed(scenario(Holds.NEVER_TWO_OWNERS), Evidence(frames=frames)))
    return judged


OPENED = (client(1.0, "S"), host(1.001, H1, "SA"), client(1.002, "A", after=H1))


def test_one_host_that_answers_to_the_end_holds() -> None:
    assert ownership(*OPENED, host(2.0, H1, "A"), host(2.1, H1, "A")).held


def test_two_syn_acks_to_one_syn_are_caught() -> None:
    judged = ownership(client(1.0, "S"), host(1.001, H1, "SA"), host(1.002, H2, "SA"))
    assert not judged.held
    assert judged.at_s == 1.002


def test_a_bucket_may_move_between_a_syn_and_the_same_syn_sent_again() -> None:
    """The first SYN-ACK was lost, and by the second SYN another host holds the bucket."""
    moved = (client(1.0, "S"), host(1.001, H1, "SA"), client(2.0, "S"), host(2.001, H2, "SA"))
    assert ownership(*moved).held


def test_an_earlier_holders_stack_may_send_its_syn_ack_again() -> None:
    """Both SYNs were kept, each by one host; the client acknowledged the second answer."""
    moved = (client(1.0, "S"), host(1.001, H1, "SA"), client(2.0, "S"), host(2.001, H2, "SA"))
    opened = (*moved, client(2.002, "A", after=H2), heard(2.9, H2, H1))
    assert ownership(*opened, host(3.0, H1, "SA")).held
    assert not ownership(*opened, host(3.0, H1, "A")).held


def test_a_syn_ack_to_nobodys_syn_is_caught_in_an_open_connection() -> None:
    assert not ownership(*OPENED, heard(1.5, H1, H2), host(1.6, H2, "SA")).held


def test_a_second_host_in_an_open_connection_is_caught_by_its_reset() -> None:
    judged = ownership(*OPENED, heard(4.0, H1, H2), host(5.0, H2, "R"))
    assert not judged.held
    assert "h2 resets h1's" in judged.seen


def test_of_a_host_that_fell_silent_long_ago_others_may_reset_connections() -> None:
    assert ownership(*OPENED, heard(1.5, H1, H2), host(5.0, H2, "R")).held


def test_after_a_reset_by_its_owner_a_connection_is_nobodys() -> None:
    frames = (host(3.0, H1, "R"), heard(3.9, H1, H2), host(4.0, H2, "R"))
    assert ownership(*OPENED, *frames).held


def test_a_port_pair_that_comes_back_is_another_connection() -> None:
    again = client(9.0, "S")
    later = SeenFrame(again.at_s, again.port, again.direction, other_sequence(again.data))
    assert ownership(*OPENED, heard(8.9, H1, H2), later, host(9.001, H2, "SA")).held
    # The same bytes as before are the old SYN again: its owner may have changed, the data's not.
    assert ownership(*OPENED, heard(8.9, H1, H2), again, host(9.001, H2, "SA")).held
    assert not ownership(*OPENED, heard(8.9, H1, H2), again, host(9.001, H2, "A")).held


def other_sequence(data: bytes) -> bytes:
    frame = Ether(data)
    frame[TCP].seq = 99
    return bytes(frame)


def margin(*frames: SeenFrame, until: str = "") -> tuple[Expectation, float | None]:
    evidence = Evidence(
        attempts=(attempt(1.0, 5001, "h2"), attempt(2.0, 5002, "h1"), attempt(9.0, 5003, "h2")),
        frames=frames,
        moments=(Moment("stalled", 0.5), Moment("resumed", 8.0)),
    )
    observed = Observed(scenario(LeaseMargin("h2", "stalled", until)), evidence)
    (judged,) = judge(observed)
    return judged, figures_of(observed).get("lease_margin_ms")


LAST = (client(1.0, "S"), host(1.001, H2, "SA"))
FIRST = (client(2.0, "S", port=5002), host(2.001, H1, "SA", port=5002))
BACK = (client(9.0, "S", port=5003), host(9.001, H2, "SA", port=5003))


def test_the_margin_is_from_the_last_flow_of_the_old_to_the_first_of_the_new() -> None:
    judged, figure = margin(*LAST, *FIRST)
    assert judged.held
    assert figure == 1000


def test_what_the_old_owner_keeps_after_it_has_come_back_does_not_count() -> None:
    assert margin(*LAST, *FIRST, *BACK, until="resumed")[0].held
    assert not margin(*LAST, *FIRST, *BACK)[0].held


def test_a_margin_that_nothing_shows_has_not_held() -> None:
    assert not margin(*LAST)[0].held


def gap(*attempts: Attempt, frames: tuple[SeenFrame, ...]) -> tuple[Expectation, float | None]:
    moments = (Moment("lost", 1.0),)
    evidence = Evidence(attempts=attempts, frames=frames, moments=moments)
    observed = Observed(scenario(TakenOver("aimed", "lost", 300)), evidence)
    (judged,) = judge(observed)
    return judged, figures_of(observed).get("gap_ms")


RETRIED = (client(1.1, "S"), client(2.1, "S"), host(2.2, H1, "SA"))
DIRECT = (client(1.25, "S", port=5002), host(1.26, H1, "SA", port=5002))
LATE = (client(1.75, "S", port=5003), host(1.76, H1, "SA", port=5003))


def test_the_gap_ends_with_the_first_attempt_that_needs_one_syn() -> None:
    attempts = (attempt(1.1, 5001, "h1"), attempt(1.25, 5002, "h1"), attempt(1.75, 5003, "h1"))
    judged, figure = gap(*attempts, frames=(*RETRIED, *DIRECT, *LATE))
    assert judged.held
    assert figure == 250


def test_a_gap_that_is_too_long_is_caught() -> None:
    attempts = (attempt(1.1, 5001, "h1"), attempt(1.75, 5003, "h1"))
    judged, figure = gap(*attempts, frames=(*RETRIED, *LATE))
    assert not judged.held
    assert figure == 750


def test_until_the_deed_takes_effect_attempts_may_succeed() -> None:
    early = (client(1.15, "S", port=5009), host(1.151, H2, "SA", port=5009))
    attempts = (attempt(1.1, 5001, "h1"), attempt(1.15, 5009, "h2"), attempt(1.25, 5002, "h1"))
    _, figure = gap(*attempts, frames=(*early, *RETRIED, *DIRECT))
    assert figure == 250


def test_connections_of_a_host_that_an_operator_stopped_are_cut() -> None:
    frames = (*OPENED, heard(3.9, H1, H2), host(4.0, H2, "R"))
    for label_s, held in ((3.0, True), (5.0, False)):
        evidence = Evidence(frames=frames, moments=(Moment("left", label_s),))
        steps = (Do(Deed.STOP, "h1", "left"),)
        script = replace(scenario(Holds.NEVER_TWO_OWNERS), steps=steps)
        (judged,) = judge(Observed(script, evidence))
        assert judged.held is held


def test_a_gap_in_which_nothing_failed_has_not_been_seen() -> None:
    judged, figure = gap(attempt(1.25, 5002, "h1"), frames=DIRECT)
    assert not judged.held
    assert figure is None
