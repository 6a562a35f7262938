# SPDX-License-Identifier: Apache-2.0
"""Races of a hand-over: what two hosts' filters kept of one flow, frame by frame.

Knows the segments clients sent, those that each host's filter handed to its stack, and the kernels'
counters. Knows no table.
"""

from collections import Counter, defaultdict
from typing import Final

from wlbs.core.frame import TcpFlags
from wlbs.core.reason import Reason
from wlbs.scenario.expectations import FinishedLate, KeptAs, OpenedTwice
from wlbs.scenario.judging.observed import (
    FlowId,
    Observed,
    SeenSegment,
    flow_words,
    with_examples,
)
from wlbs.scenario.report import Expectation

_COUNTED: Final = (Reason.OWNER, Reason.CLAIMED, Reason.COOKIE)
"""Why a filter keeps a TCP segment."""


def kept_once(observed: Observed, what: str) -> Expectation:
    """Judge that of every frame there are no more copies in the hosts' stacks than were sent."""
    sent = Counter(each.identity for each in observed.sent if each.is_to_vip)
    kept: dict[bytes, list[SeenSegment]] = defaultdict(list)
    for each in observed.kept:
        kept[each.identity].append(each)
    twice = [copies for one, copies in kept.items() if len(copies) > max(sent[one], 1)]
    seen = f"{len(observed.kept)} of {sent.total()} frames kept, {len(twice)} more than once"
    return observed.found(
        what,
        held=bool(kept) and not twice,
        seen=with_examples(seen, [_words(copies) for copies in twice]),
        broke_s=[copies[-1].at_s for copies in twice],
    )


def counted_once(observed: Observed, what: str) -> Expectation:
    """Judge that the kernels together count no more kept frames than clients sent."""
    sent = sum(1 for each in observed.sent if each.is_to_vip)
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
    for each in observed.kept:
        if each.segment.is_bare_syn and each.flow in flows:
            keepers[each.flow, each.segment.sequence].add(each.port)
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
    for each in observed.kept:
        if each.port == wanted.host and each.flow in flows:
            times_s = syns_s if each.segment.is_bare_syn else next_s
            times_s.setdefault(each.flow, each.at_s)
    begun = [flow for flow, at_s in syns_s.items() if at_s < moment.at_s]
    late = [flow for flow in begun if next_s.get(flow, 0.0) > moment.at_s]
    return observed.found(what, held=bool(late), seen=f"{len(late)} of {len(begun)} handshakes")


def _words(copies: list[SeenSegment]) -> str:
    first = copies[0]
    flags = "|".join(flag.name or "" for flag in first.segment.flags) or "none"
    hosts = " and ".join(each.port for each in copies)
    return f"{flags} of {flow_words(first.flow)} at {first.at_s:.3f} s by {hosts}"


def _flows(observed: Observed, batch: str) -> frozenset[FlowId]:
    return frozenset(
        (each.source, each.source_port, each.server_port)
        for each in observed.evidence.attempts
        if each.batch == batch
    )
