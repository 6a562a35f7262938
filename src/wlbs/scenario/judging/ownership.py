# SPDX-License-Identifier: Apache-2.0
"""Who answered which connection: one host for each SYN, and never two for a connection.

Knows exchanges as the switch ports show them. Knows no table and asks no host.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from wlbs.core.frame import TcpFlags
from wlbs.core.reason import ACTION, Action, Reason
from wlbs.scenario.expectations import LeaseMargin
from wlbs.scenario.judging.exchanges import Exchange, exchanges
from wlbs.scenario.judging.observed import FlowId, Observed, flow_words, with_examples
from wlbs.scenario.report import Expectation

RESET_AFTER_S: Final = 3.0
"""Guarantee S2 ends for a host of which nothing was heard for so long: others may then say, by a
reset, that its connections are gone (docs/design/protocol.md)."""

_MS: Final = 1000


def syn_once(observed: Observed, what: str) -> Expectation:
    """Judge that every flow that was opened was answered by one host and one only."""
    opened: dict[FlowId, float] = {}
    answering: dict[FlowId, set[str]] = {}
    for seen in observed.sent:
        if not seen.is_to_vip:
            # A RST is an answer too: it is how a host says that it has no such connection.
            answering.setdefault(seen.flow, set()).add(seen.port)
        elif seen.segment.is_bare_syn:
            opened.setdefault(seen.flow, seen.at_s)
    wrong = [flow for flow in opened if len(answering.get(flow, ())) != 1]
    examples = [
        f"{flow_words(flow)} by {' and '.join(sorted(answering.get(flow, ()))) or 'nobody'}"
        for flow in wrong
    ]
    return observed.found(
        what,
        held=bool(opened) and not wrong,
        seen=with_examples(f"{len(opened)} SYNs, {len(wrong)} otherwise", examples),
        broke_s=[opened[flow] for flow in wrong],
    )


def never_two_owners(observed: Observed, what: str) -> Expectation:
    """Judge every exchange: who may answer it, and when.

    Never more hosts answer a SYN than SYNs were sent: the bucket may move between a SYN and the
    same SYN sent again, and each is kept once. That both stacks send their SYN-ACKs again is no
    answer to anything. Once the client has acknowledged a SYN-ACK, whatever else is sent, a reset
    included, comes from the host that sent it, unless nothing of that host has reached the other
    one for `RESET_AFTER_S`, or an operator has stopped it, which cuts its connections.
    """
    judged = [each for each in exchanges(observed.sent) if each.answers]
    breaches = [breach for exchange in judged for breach in _breaches(observed, exchange)]
    return observed.found(
        what,
        held=bool(judged) and not breaches,
        seen=with_examples(
            f"{len(judged)} connections, {len(breaches)} segments of a second host",
            [f"{words} at {at_s:.3f} s" for at_s, words in breaches],
        ),
        broke_s=[at_s for at_s, _ in breaches],
    )


def _breaches(observed: Observed, exchange: Exchange) -> Iterator[tuple[float, str]]:
    answering: list[str] = []
    for answer in exchange.answers:
        at_s, host = answer.at_s, answer.port
        if at_s > exchange.ended_s:
            return
        is_owned = exchange.owner is not None and at_s >= exchange.owned_s
        if is_owned and not answer.segment.flags & TcpFlags.SYN:
            if host != exchange.owner and _may_not(observed, exchange, host, at_s):
                does = "resets" if answer.segment.flags & TcpFlags.RST else "answers"
                yield at_s, f"{host} {does} {exchange.owner}'s {flow_words(exchange.flow)}"
        elif host not in answering:
            answering.append(host)
            syn_count = sum(1 for syn_s in exchange.syns_s if syn_s <= at_s)
            if len(answering) > max(syn_count, 1):
                words = " and ".join(answering)
                yield at_s, f"{words} answer one SYN of {flow_words(exchange.flow)}"


def _may_not(observed: Observed, exchange: Exchange, host: str, at_s: float) -> bool:
    """Tell whether a second host may not say anything in an open connection at this moment."""
    owner = exchange.owner
    assert owner is not None, "an open connection is somebody's"
    if observed.was_stopped(owner, between=(exchange.owned_s, at_s)):
        return False
    return observed.was_heard(owner, at_port=host, between=(at_s - RESET_AFTER_S, at_s))


def lease_margin(observed: Observed, wanted: LeaseMargin) -> Expectation:
    """Judge that a host kept its last new flow before another kept the first in its buckets."""
    what = f"what {wanted.host} held is kept by others only after its last new flow"
    moments = _margin(observed, wanted)
    if moments is None:
        return observed.found(what, held=False, seen="no flow of its buckets before and after")
    last_s, first_s = moments
    margin_ms = (first_s - last_s) * _MS
    seen = f"last at {last_s:.3f} s, first of another at {first_s:.3f} s, margin {margin_ms:.1f} ms"
    return observed.found(what, held=margin_ms > 0, seen=seen, broke_s=[first_s] * (margin_ms <= 0))


def lease_margin_ms(observed: Observed, wanted: LeaseMargin) -> float | None:
    """Return the margin as a figure, or None if nothing shows it."""
    moments = _margin(observed, wanted)
    return None if moments is None else round((moments[1] - moments[0]) * _MS, 3)


def _margin(observed: Observed, wanted: LeaseMargin) -> tuple[float, float] | None:
    """Return when the host kept its last new flow, and another the first after the moment."""
    moment = observed.moment(wanted.after)
    if moment is None:
        return None
    flows = {
        (each.source, each.source_port, each.server_port)
        for each in observed.evidence.attempts
        if observed.aims.get(each.batch) == wanted.host
    }
    until_s = observed.end_of(wanted.until)
    kept = [
        (at_s, host)
        for exchange in exchanges(observed.sent)
        if exchange.flow in flows
        for host, at_s in exchange.accepted.items()
        if at_s < until_s
    ]
    by_host = [at_s for at_s, host in kept if host == wanted.host]
    by_others = [at_s for at_s, host in kept if host != wanted.host and at_s > moment.at_s]
    return (max(by_host), min(by_others)) if by_host and by_others else None


def counters_agree(observed: Observed, what: str) -> Expectation:
    """Compare what each host's kernel kept with what came to it of the flows it answered."""
    answered_by = {
        (each.source, each.source_port, each.server_port): each.answered_by
        for each in observed.evidence.attempts
        if each.to_vip
    }
    captured = Counter(
        seen.port
        for seen in observed.delivered
        if seen.is_to_vip and answered_by.get(seen.flow) == seen.port
    )
    # What is for a host alone is kept as well, and is none of the cluster's.
    keeping = [each.name for each in Reason if ACTION[each] is Action.KEEP and each != Reason.OWN]
    parts, held = [], True
    for host in observed.topology.hosts:
        counts = observed.evidence.counters.get(host.name, {})
        kept = sum(counts.get(name, 0) for name in keeping)
        held = held and kept == captured[host.name] and bool(kept)
        parts.append(f"{host.name} kept {kept} of {captured[host.name]}")
    return observed.found(what, held=held, seen=", ".join(parts))
