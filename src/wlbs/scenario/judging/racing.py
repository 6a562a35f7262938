# SPDX-License-Identifier: Apache-2.0
"""Races of a hand-over: what two hosts' filters kept of one flow, frame by frame.

Knows the frames clients sent and those that each host's filter handed to its stack. A frame is
known by addresses, ports, sequence numbers, flags and IPv4 identification: what is sent again has
another identification, and a stack that merges segments keeps those of the first. Knows no table.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Final

from wlbs.core.frame import ETHERNET_SIZE, Frame, Packet, Segment, TcpFlags, parse
from wlbs.core.reason import Reason
from wlbs.scenario.evidence import Direction, SeenFrame
from wlbs.scenario.expectations import FinishedLate, KeptAs, OpenedTwice
from wlbs.scenario.judging.observed import FlowId, Observed, flow_words, with_examples
from wlbs.scenario.report import Expectation

_IDENTIFICATION: Final = slice(ETHERNET_SIZE + 4, ETHERNET_SIZE + 6)
"""RFC 791, 3.1."""

_COUNTED: Final = (Reason.OWNER, Reason.CLAIMED, Reason.COOKIE)
"""Why a filter keeps a TCP segment."""

_FrameId = tuple[bytes, FlowId, Segment]


def kept_once(observed: Observed, what: str) -> Expectation:
    """Judge that of every frame there are no more copies in the hosts' stacks than were sent."""
    sent = Counter(each for _, _, each in _identified(observed, _from_clients(observed)))
    kept: dict[_FrameId, list[tuple[float, str]]] = defaultdict(list)
    for at_s, host, each in _identified(observed, observed.evidence.kept):
        kept[each].append((at_s, host))
    twice = {each: places for each, places in kept.items() if len(places) > max(sent[each], 1)}
    examples = [
        f"{flow_words(flow)} at {places[-1][0]:.3f} s by {' and '.join(host for _, host in places)}"
        for (_, flow, _), places in twice.items()
    ]
    count = sum(len(places) for places in kept.values())
    return observed.found(
        what,
        held=bool(kept) and not twice,
        seen=with_examples(f"{count} of {sent.total()} frames kept, {len(twice)} twice", examples),
        broke_s=[places[-1][0] for places in twice.values()],
    )


def counted_once(observed: Observed, what: str) -> Expectation:
    """Judge that the kernels together count no more kept frames than clients sent."""
    sent = sum(1 for _ in _identified(observed, _from_clients(observed)))
    counters = observed.evidence.counters.values()
    kept = sum(counts.get(reason.name, 0) for counts in counters for reason in _COUNTED)
    return observed.found(what, held=0 < kept <= sent, seen=f"{kept} kept of {sent} sent")


def no_host_reset(observed: Observed, what: str) -> Expectation:
    """Judge that no host sent a reset from the virtual IP."""
    sent = [each for each in observed.sent if not each.is_to_vip]
    resets = [each for each in sent if each.segment.flags & TcpFlags.RST]
    return observed.found(
        what,
        held=bool(sent) and not resets,
        seen=with_examples(
            f"{len(resets)} resets in {len(sent)} segments",
            [f"{each.port} resets {flow_words(each.flow)}" for each in resets],
        ),
        broke_s=[each.at_s for each in resets],
    )


def kept_as(observed: Observed, wanted: KeptAs) -> Expectation:
    """Judge that a host's kernel has counted frames under a reason."""
    count = observed.evidence.counters.get(wanted.host, {}).get(wanted.reason.name, 0)
    what = f"{wanted.host} has kept frames as {wanted.reason.name}"
    return observed.found(what, held=count > 0, seen=f"{count} frames")


def opened_twice(observed: Observed, wanted: OpenedTwice) -> Expectation:
    """Judge that the same SYN, sent again, was kept by another host."""
    flows = _flows(observed, wanted.batch)
    keepers: dict[tuple[FlowId, int], set[str]] = defaultdict(set)
    for _, host, (_, flow, segment) in _identified(observed, observed.evidence.kept):
        if segment.is_bare_syn and flow in flows:
            keepers[flow, segment.sequence].add(host)
    count = sum(1 for hosts in keepers.values() if len(hosts) > 1)
    what = f"some SYN of '{wanted.batch}' is kept by two hosts, one after the other"
    return observed.found(what, held=count > 0, seen=f"{count} of {len(keepers)} SYNs")


def finished_late(observed: Observed, wanted: FinishedLate) -> Expectation:
    """Judge that handshakes a host began before a moment were finished there after it."""
    what = f"{wanted.host} finishes handshakes of '{wanted.batch}' after '{wanted.after}'"
    moment = observed.moment(wanted.after)
    if moment is None:
        return observed.found(what, held=False, seen=f"'{wanted.after}' never came")
    flows = _flows(observed, wanted.batch)
    syns_s: dict[FlowId, float] = {}
    next_s: dict[FlowId, float] = {}
    for at_s, host, (_, flow, segment) in _identified(observed, observed.evidence.kept):
        if host == wanted.host and flow in flows:
            (syns_s if segment.is_bare_syn else next_s).setdefault(flow, at_s)
    begun = [flow for flow, at_s in syns_s.items() if at_s < moment.at_s]
    late = [flow for flow in begun if next_s.get(flow, 0.0) > moment.at_s]
    return observed.found(what, held=bool(late), seen=f"{len(late)} of {len(begun)} handshakes")


def _from_clients(observed: Observed) -> Iterable[SeenFrame]:
    clients = {client.name for client in observed.topology.clients}
    return (
        each
        for each in observed.evidence.frames
        if each.port in clients and each.direction is Direction.FROM_NODE
    )


def _identified(
    observed: Observed, frames: Iterable[SeenFrame]
) -> Iterable[tuple[float, str, _FrameId]]:
    """Yield when and where each TCP segment to the virtual IP was, and which one it is."""
    for seen in frames:
        frame = parse(seen.data)
        if not isinstance(frame, Frame) or not isinstance(frame.payload, Packet):
            continue
        packet = frame.payload
        segment = packet.transport
        if packet.destination == observed.topology.vip and isinstance(segment, Segment):
            flow = (packet.source, segment.source_port, segment.destination_port)
            yield seen.at_s, seen.port, (seen.data[_IDENTIFICATION], flow, segment)


def _flows(observed: Observed, batch: str) -> frozenset[FlowId]:
    return frozenset(
        (each.source, each.source_port, each.server_port)
        for each in observed.evidence.attempts
        if each.batch == batch
    )
