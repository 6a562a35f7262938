# SPDX-License-Identifier: Apache-2.0
"""From what was observed to what held: every expectation as a pure function of the evidence.

Judges by clients, switch ports, the switch's table, service logs and kernel counters, and never by
what an agent says of itself. An expectation about something of which nothing was seen has not
held: silence proves nothing. What the core states as an invariant is judged by the core.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from wlbs.core.frame import ARP_ANSWER, ARP_REQUEST, Arp, Frame, Malformed, Segment, TcpFlags, parse
from wlbs.core.frame import Packet as IpPacket
from wlbs.core.invariants import Violation, judge_arp_answers, judge_sources
from wlbs.core.reason import ACTION, Action, Reason
from wlbs.scenario.evidence import Direction, Evidence, SeenFrame
from wlbs.scenario.report import Expectation
from wlbs.scenario.steps import FairShare, Scenario
from wlbs.scenario.topology import Topology

FlowId = tuple[str, int, int]
"""A flow as client and server both name it: client address, client port, server port."""

EXAMPLE_COUNT_MAX = 3
"""How many breaches a report quotes; the number of all of them is always given."""


def judge(scenario: Scenario, evidence: Evidence) -> tuple[Expectation, ...]:
    """Return every expectation of a scenario, held or not."""
    topology = scenario.topology
    return (
        _complete(evidence),
        _connections(evidence),
        *(_share(share, topology, evidence) for share in scenario.shares),
        _logs(evidence),
        _counters(topology, evidence),
        _bridge(topology, evidence),
        _sources(topology, evidence),
        _arp_truth(topology, evidence),
        _arp_once(topology, evidence),
        _one_host_answers(topology, evidence),
        _no_reset(evidence),
        _neighbours(topology, evidence),
    )


def figures_of(scenario: Scenario, evidence: Evidence) -> dict[str, float]:
    """Return the numbers of a run that people and later runs compare."""
    figures: dict[str, float] = {
        "connections": len(evidence.attempts),
        "connections_failed": sum(1 for each in evidence.attempts if each.answered_by is None),
        "frames_captured": len(evidence.frames),
    }
    for share in scenario.shares:
        counts = _answer_counts(share.batch, evidence)
        total = max(sum(counts.values()), 1)
        for host in scenario.topology.hosts:
            name = f"share_{share.batch.replace(' ', '_')}_{host.name}"
            figures[name] = round(counts[host.name] / total, 4)
    return figures


def _complete(evidence: Evidence) -> Expectation:
    seen = f"{len(evidence.frames)} frames captured, {evidence.frames_lost_count} missed"
    held = bool(evidence.frames) and not evidence.frames_lost_count
    return Expectation("the captures at the switch ports are complete", _end(evidence), held, seen)


def _connections(evidence: Evidence) -> Expectation:
    failed = [each for each in evidence.attempts if each.answered_by is None]
    examples = [f"{each.source}:{each.source_port} {each.error}" for each in failed]
    seen = f"{len(evidence.attempts) - len(failed)} of {len(evidence.attempts)} connections"
    return Expectation(
        "every connection is answered",
        min((each.at_s for each in failed), default=_end(evidence)),
        bool(evidence.attempts) and not failed,
        _with_examples(seen, examples),
    )


def _share(share: FairShare, topology: Topology, evidence: Evidence) -> Expectation:
    counts = _answer_counts(share.batch, evidence)
    total = max(sum(counts.values()), 1)
    due = 1 / topology.host_count
    shares = {host.name: counts[host.name] / total for host in topology.hosts}
    return Expectation(
        f"each host has {due:.1%} of '{share.batch}', within {share.tolerance * 100:g} points",
        _end(evidence),
        all(abs(part - due) <= share.tolerance for part in shares.values()),
        ", ".join(f"{name} {part:.1%}" for name, part in shares.items()),
    )


def _logs(evidence: Evidence) -> Expectation:
    answers = Counter(
        (each.answered_by, str(each.source), each.source_port, each.server_port)
        for each in evidence.attempts
        if each.answered_by is not None
    )
    logged = Counter(
        (each.host, str(each.source), each.source_port, each.server_port) for each in evidence.log
    )
    differing = sorted(map(str, ((answers - logged) + (logged - answers)).elements()))
    seen = f"{answers.total()} answers, {logged.total()} log lines, {len(differing)} differ"
    held = bool(answers) and not differing
    what = "service logs and clients' answers agree"
    return Expectation(what, _end(evidence), held, _with_examples(seen, differing))


def _counters(topology: Topology, evidence: Evidence) -> Expectation:
    """Compare what each host's kernel kept with what came to it of the flows it answered."""
    answered_by = {
        (str(each.source), each.source_port, each.server_port): each.answered_by
        for each in evidence.attempts
    }
    captured: Counter[str] = Counter()
    for seen, frame in _parsed(evidence, Direction.TO_NODE):
        flow = _flow_to(topology, frame)
        if flow and answered_by.get(flow) == seen.port:
            captured[seen.port] += 1
    keeping = [each.name for each in Reason if ACTION[each] is Action.KEEP]
    parts, held = [], True
    for host in topology.hosts:
        counts = evidence.counters.get(host.name, {})
        kept = sum(counts.get(name, 0) for name in keeping)
        held = held and kept == captured[host.name] and bool(kept)
        parts.append(f"{host.name} kept {kept} of {captured[host.name]}")
    what = "kernel counters agree with the frames of the flows each host answered"
    return Expectation(what, _end(evidence), held, ", ".join(parts))


def _bridge(topology: Topology, evidence: Evidence) -> Expectation:
    learned = [each for each in evidence.bridge_entries if each.mac == topology.vmac]
    examples = [f"{each.mac} at port {each.port}" for each in learned]
    return Expectation(
        "the switch never learns the cluster's MAC",
        min((each.at_s for each in learned), default=_end(evidence)),
        bool(evidence.bridge_entries) and not learned,
        _with_examples(f"{len(evidence.bridge_entries)} entries, {len(learned)} of it", examples),
    )


def _sources(topology: Topology, evidence: Evidence) -> Expectation:
    sent = [each for each in evidence.frames if each.direction is Direction.FROM_NODE]
    what = "no frame is sent with the cluster's MAC as its source"
    guilty = [each for each in sent if judge_sources(topology.vmac, [each.data])]
    violations = judge_sources(topology.vmac, (each.data for each in sent))
    return _of_violations(what, evidence, sent, guilty, violations)


def _arp_truth(topology: Topology, evidence: Evidence) -> Expectation:
    vips = frozenset({topology.vip})
    answers = [seen for seen, _ in _arp(topology, evidence, ARP_ANSWER)]
    guilty = [each for each in answers if judge_arp_answers(topology.vmac, vips, [each.data])]
    violations = judge_arp_answers(topology.vmac, vips, (each.data for each in answers))
    what = "every ARP answer has the cluster's MAC inside and a station's outside"
    return _of_violations(what, evidence, answers, guilty, violations)


def _arp_once(topology: Topology, evidence: Evidence) -> Expectation:
    clients = {client.mac: client.name for client in topology.clients}
    asked = Counter(
        clients.get(arp.sender_mac, str(arp.sender_mac))
        for _, arp in _arp(topology, evidence, ARP_REQUEST)
    )
    answered = Counter(
        clients.get(arp.target_mac, str(arp.target_mac))
        for _, arp in _arp(topology, evidence, ARP_ANSWER)
    )
    return Expectation(
        "each ARP request for the virtual IP is answered exactly once",
        _end(evidence),
        bool(asked) and asked == answered,
        f"{asked.total()} requests, {answered.total()} answers",
    )


def _one_host_answers(topology: Topology, evidence: Evidence) -> Expectation:
    opened: dict[FlowId, float] = {}
    answering: dict[FlowId, set[str]] = {}
    for seen, frame in _parsed(evidence, Direction.FROM_NODE):
        flow, back = _flow_to(topology, frame), _flow_from(topology, frame)
        segment = _segment(frame)
        if flow and segment and segment.is_bare_syn:
            opened.setdefault(flow, seen.at_s)
        # A RST is an answer too: it is how a host says that it has no such connection.
        if back:
            answering.setdefault(back, set()).add(seen.port)
    wrong = [flow for flow in opened if len(answering.get(flow, ())) != 1]
    examples = [f"{flow} by {sorted(answering.get(flow, ())) or 'nobody'}" for flow in wrong]
    return Expectation(
        "each SYN is answered by exactly one host",
        min((opened[flow] for flow in wrong), default=_end(evidence)),
        bool(opened) and not wrong,
        _with_examples(f"{len(opened)} SYNs, {len(wrong)} otherwise", examples),
    )


def _no_reset(evidence: Evidence) -> Expectation:
    resets, segment_count = [], 0
    for seen, frame in _parsed(evidence, Direction.FROM_NODE):
        segment = _segment(frame)
        segment_count += segment is not None
        if segment and segment.flags & TcpFlags.RST:
            resets.append(seen)
    return Expectation(
        "no connection is reset",
        min((each.at_s for each in resets), default=_end(evidence)),
        bool(segment_count) and not resets,
        _with_examples(
            f"{len(resets)} resets in {segment_count} segments", [f"by {e.port}" for e in resets]
        ),
    )


def _neighbours(topology: Topology, evidence: Evidence) -> Expectation:
    entries = [each for each in evidence.neighbours if each.address == topology.vip]
    wrong = [each for each in entries if each.mac != topology.vmac]
    examples = [f"{each.client} has {each.mac}" for each in wrong]
    return Expectation(
        "no client ever holds a station's MAC for the virtual IP",
        min((each.at_s for each in wrong), default=_end(evidence)),
        bool(entries) and not wrong,
        _with_examples(f"{len(entries)} entries, {len(wrong)} wrong", examples),
    )


def _of_violations(
    what: str,
    evidence: Evidence,
    judged: Sequence[SeenFrame],
    guilty: Sequence[SeenFrame],
    violations: Sequence[Violation],
) -> Expectation:
    seen = f"{len(judged)} frames, {len(violations)} against it"
    return Expectation(
        what,
        min((each.at_s for each in guilty), default=_end(evidence)),
        bool(judged) and not violations,
        _with_examples(seen, [each.seen for each in violations]),
    )


def _arp(topology: Topology, evidence: Evidence, operation: int) -> list[tuple[SeenFrame, Arp]]:
    """Return the ARP requests or answers about the virtual IP, as they were sent."""
    found = []
    for seen, frame in _parsed(evidence, Direction.FROM_NODE):
        arp = frame.payload
        if not isinstance(arp, Arp) or arp.operation != operation:
            continue
        about = arp.target_ip if operation == ARP_REQUEST else arp.sender_ip
        if about == topology.vip:
            found.append((seen, arp))
    return found


def _parsed(evidence: Evidence, direction: Direction) -> Iterable[tuple[SeenFrame, Frame]]:
    for seen in evidence.frames:
        if seen.direction is direction:
            frame = parse(seen.data)
            if not isinstance(frame, Malformed):
                yield seen, frame


def _segment(frame: Frame) -> Segment | None:
    packet = frame.payload
    if isinstance(packet, IpPacket) and isinstance(packet.transport, Segment):
        return packet.transport
    return None


def _flow_to(topology: Topology, frame: Frame) -> FlowId | None:
    packet, segment = frame.payload, _segment(frame)
    if segment and isinstance(packet, IpPacket) and packet.destination == topology.vip:
        return str(packet.source), segment.source_port, segment.destination_port
    return None


def _flow_from(topology: Topology, frame: Frame) -> FlowId | None:
    packet, segment = frame.payload, _segment(frame)
    if segment and isinstance(packet, IpPacket) and packet.source == topology.vip:
        return str(packet.destination), segment.destination_port, segment.source_port
    return None


def _answer_counts(batch: str, evidence: Evidence) -> Counter[str]:
    return Counter(
        each.answered_by
        for each in evidence.attempts
        if each.batch == batch and each.answered_by is not None
    )


def _end(evidence: Evidence) -> float:
    """Return when the last thing was observed: until then, what held held."""
    return max((each.at_s for each in evidence.attempts), default=0.0)


def _with_examples(seen: str, examples: Sequence[str]) -> str:
    if not examples:
        return seen
    return f"{seen}: " + "; ".join(examples[:EXAMPLE_COUNT_MAX])
