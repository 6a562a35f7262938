# SPDX-License-Identifier: Apache-2.0
"""What the switch saw: sources, ARP, resets, its own table, and clients' neighbour tables.

Knows frames. What the core states as an invariant is judged by the core.
"""

from collections import Counter
from collections.abc import Sequence

from wlbs.core.frame import ARP_ANSWER, ARP_REQUEST, TcpFlags
from wlbs.core.invariants import Violation, judge_arp_answers, judge_sources
from wlbs.scenario.evidence import Direction, SeenFrame
from wlbs.scenario.judging.observed import Observed, SeenArp, with_examples
from wlbs.scenario.report import Expectation
from wlbs.scenario.topology import Shape


def captures_complete(observed: Observed, what: str) -> Expectation:
    """Judge that something was captured and nothing missed."""
    evidence = observed.evidence
    seen = f"{len(evidence.frames)} frames captured, {evidence.frames_lost_count} missed"
    held = bool(evidence.frames) and not evidence.frames_lost_count
    return observed.found(what, held=held, seen=seen)


def vmac_unlearned(observed: Observed, what: str) -> Expectation:
    """Judge the switches' tables; a hub has none, and there nothing can be learned."""
    entries = observed.evidence.bridge_entries
    learned = [each for each in entries if each.mac == observed.cluster.vmac]
    examples = [f"{each.mac} at port {each.port} of {each.switch}" for each in learned]
    has_table = bool(entries) or observed.topology.shape is Shape.HUB
    return observed.found(
        what,
        held=has_table and not learned,
        seen=with_examples(f"{len(entries)} entries, {len(learned)} of it", examples),
        broke_s=[each.at_s for each in learned],
    )


def vmac_unsent(observed: Observed, what: str) -> Expectation:
    """Judge the source of every frame that any node sent."""
    vmac = observed.cluster.vmac
    sent = [each for each in observed.evidence.frames if each.direction is Direction.FROM_NODE]
    guilty = [each for each in sent if vmac.octets == each.data[6:12]]
    violations = judge_sources(vmac, (each.data for each in guilty))
    return _of_violations(observed, what, sent, (guilty, violations))


def arp_true(observed: Observed, what: str) -> Expectation:
    """Judge what ARP answers for the virtual IP say."""
    vmac, vips = observed.cluster.vmac, frozenset({observed.topology.vip})
    answers = [each.seen for each in _arps(observed, ARP_ANSWER)]
    guilty = [each for each in answers if judge_arp_answers(vmac, vips, [each.data])]
    violations = judge_arp_answers(vmac, vips, (each.data for each in answers))
    return _of_violations(observed, what, answers, (guilty, violations))


def arp_once(observed: Observed, what: str) -> Expectation:
    """Judge that every ARP request for the virtual IP had one answer."""
    clients = {client.mac: client.name for client in observed.topology.clients}
    asked = Counter(
        clients.get(each.arp.sender_mac, str(each.arp.sender_mac))
        for each in _arps(observed, ARP_REQUEST)
    )
    answered = Counter(
        clients.get(each.arp.target_mac, str(each.arp.target_mac))
        for each in _arps(observed, ARP_ANSWER)
    )
    seen = f"{asked.total()} requests, {answered.total()} answers"
    return observed.found(what, held=bool(asked) and asked == answered, seen=seen)


def no_reset(observed: Observed, what: str) -> Expectation:
    """Judge that nobody sent a reset to or from the virtual IP."""
    resets = [each for each in observed.sent if each.segment.flags & TcpFlags.RST]
    return observed.found(
        what,
        held=bool(observed.sent) and not resets,
        seen=with_examples(
            f"{len(resets)} resets in {len(observed.sent)} segments",
            [f"by {each.port}" for each in resets],
        ),
        broke_s=[each.at_s for each in resets],
    )


def neighbours_true(observed: Observed, what: str) -> Expectation:
    """Judge the clients' neighbour tables."""
    vip, vmac = observed.topology.vip, observed.cluster.vmac
    entries = [each for each in observed.evidence.neighbours if each.address == vip]
    wrong = [each for each in entries if each.mac != vmac]
    return observed.found(
        what,
        held=bool(entries) and not wrong,
        seen=with_examples(
            f"{len(entries)} entries, {len(wrong)} wrong",
            [f"{each.client} has {each.mac}" for each in wrong],
        ),
        broke_s=[each.at_s for each in wrong],
    )


def reset_count(observed: Observed) -> int:
    """Return how many resets hosts sent from the virtual IP."""
    return sum(
        1 for each in observed.sent if not each.is_to_vip and each.segment.flags & TcpFlags.RST
    )


def _arps(observed: Observed, operation: int) -> list[SeenArp]:
    """Return the ARP requests or answers about the virtual IP."""
    vip = observed.topology.vip
    return [
        each
        for each in observed.arps
        if each.arp.operation == operation
        and vip == (each.arp.target_ip if operation == ARP_REQUEST else each.arp.sender_ip)
    ]


def _of_violations(
    observed: Observed,
    what: str,
    judged: Sequence[SeenFrame],
    against: tuple[Sequence[SeenFrame], Sequence[Violation]],
) -> Expectation:
    guilty, violations = against
    seen = f"{len(judged)} frames, {len(violations)} against it"
    return observed.found(
        what,
        held=bool(judged) and not violations,
        seen=with_examples(seen, [each.seen for each in violations]),
        broke_s=[each.at_s for each in guilty],
    )
