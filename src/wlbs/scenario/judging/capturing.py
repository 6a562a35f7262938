# SPDX-License-Identifier: Apache-2.0
"""A switch that has learned the VMAC: where, for how long, who was served, what was sent on.

Knows the switches' tables, attempts and frames at the ports. Asks no agent.
"""

from collections import Counter
from typing import Final

from wlbs.core.address import MAC_SIZE
from wlbs.core.announcement import Announcement, decode
from wlbs.core.frame import ETHERNET_SIZE
from wlbs.core.rules import HostIndex
from wlbs.scenario.evidence import Attempt, BridgeEntry, Direction
from wlbs.scenario.expectations import (
    Announced,
    ArrivesMasked,
    CutOff,
    Forgotten,
    Learned,
    Relayed,
    Served,
    Unserved,
)
from wlbs.scenario.judging.clients import is_prompt
from wlbs.scenario.judging.exchanges import by_flow, exchanges
from wlbs.scenario.judging.observed import Observed, flow_words, with_examples
from wlbs.scenario.leaking import frame_of
from wlbs.scenario.report import Expectation
from wlbs.scenario.steps import SendFrom, Way

SENT_MAX: Final = 3
"""How often one frame may be on the wire: from its client, the receiver, and one owner."""

_MS: Final = 1000


def learned(observed: Observed, wanted: Learned) -> Expectation:
    """Judge that a switch held the VMAC at a node's port."""
    found = _entries(observed, wanted.after, 0.0, wanted.until)
    at_port = [each for each in found if each.port == wanted.node]
    return observed.found(
        f"from '{wanted.after}' on a switch takes the cluster's MAC for {wanted.node}'s",
        held=bool(at_port),
        seen=_words_of(found),
    )


def forgotten(observed: Observed, wanted: Forgotten) -> Expectation:
    """Judge that no switch held the VMAC."""
    found = _entries(observed, wanted.after, wanted.within_s, wanted.until)
    has_come = observed.moment(wanted.after) is not None
    return observed.found(
        f"no switch knows the cluster's MAC from {wanted.within_s:g} s after '{wanted.after}'",
        held=has_come and bool(observed.evidence.bridge_entries) and not found,
        seen=_words_of(found),
        broke_s=[each.at_s for each in found],
    )


def served(observed: Observed, wanted: Served) -> Expectation:
    """Judge that each attempt of a stretch of time was answered on its first SYN."""
    tried, prompt = _tried(observed, wanted)
    failed = [each for each in tried if each not in prompt]
    return observed.found(
        f"'{wanted.batch}' is answered from {wanted.within_s:g} s after '{wanted.after}'",
        held=bool(tried) and not failed,
        seen=with_examples(f"{len(prompt)} of {len(tried)} attempts", _examples(failed)),
        broke_s=[each.at_s for each in failed],
    )


def unserved(observed: Observed, wanted: Unserved) -> Expectation:
    """Judge that no attempt of a stretch of time was answered on its first SYN."""
    tried, prompt = _tried(observed, wanted)
    return observed.found(
        f"'{wanted.batch}' is not answered from {wanted.within_s:g} s after '{wanted.after}'",
        held=bool(tried) and not prompt,
        seen=f"{len(prompt)} of {len(tried)} attempts are",
        broke_s=[each.at_s for each in prompt],
    )


def cut_off(observed: Observed, wanted: CutOff) -> Expectation:
    """Judge that no attempt was answered until something was done about it."""
    what = f"'{wanted.batch}' is cut off from '{wanted.after}' on, and no more soon after "
    what += f"'{wanted.cured}'"
    tried, prompt = _tried(observed, Unserved(wanted.batch, wanted.after, until=wanted.cured))
    took_ms, cured = cut_off_ms(observed, wanted), observed.moment(wanted.cured)
    if took_ms is None or cured is None:
        seen = f"{len(prompt)} of {len(tried)} attempts answered, or none ever again"
        return observed.found(what, held=False, seen=seen)
    since_s = min(each.at_s for each in _failed(observed, wanted))
    is_timely = since_s + took_ms / _MS <= cured.at_s + wanted.within_s
    seen = f"{len(prompt)} of {len(tried)} attempts answered, for {took_ms:.0f} ms"
    return observed.found(what, held=bool(tried) and not prompt and is_timely, seen=seen)


def cut_off_ms(observed: Observed, wanted: CutOff) -> float | None:
    """Return for how long attempts failed as a figure, or None if that did not begin or end."""
    tried, _ = _tried(observed, Served(wanted.batch, wanted.after))
    failed_s = [each.at_s for each in _failed(observed, wanted)]
    again_s = [each.at_s for each in tried if failed_s and each.at_s > max(failed_s)]
    return round((min(again_s) - min(failed_s)) * _MS, 3) if again_s else None


def _failed(observed: Observed, wanted: CutOff) -> list[Attempt]:
    """Return the attempts that failed since the moment because clients were cut off.

    Not those of the capturing host's own loss later: they end with the first that succeeds after
    the cure.
    """
    tried, prompt = _tried(observed, Served(wanted.batch, wanted.after))
    cured = observed.moment(wanted.cured)
    cured_s = cured.at_s if cured else observed.end_s
    again_s = min((each.at_s for each in prompt if each.at_s >= cured_s), default=observed.end_s)
    return [each for each in tried if each not in prompt and each.at_s < again_s]


def announced(observed: Observed, wanted: Announced) -> Expectation:
    """Judge that a monitor's announcement came from a host, and from which address."""
    moment, node = observed.moment(wanted.after), observed.topology.node(wanted.host)
    source = observed.cluster.vmac if wanted.from_vmac else node.mac
    whose = "the cluster's MAC" if wanted.from_vmac else f"{wanted.host}'s own MAC"
    sources = Counter(
        each.data[MAC_SIZE : 2 * MAC_SIZE]
        for each in observed.evidence.frames
        if each.port == wanted.host
        and each.direction is Direction.FROM_NODE
        and isinstance(decode(each.data), Announcement)
    )
    return observed.found(
        f"{wanted.host}'s monitor announces itself, from {whose}",
        held=moment is not None and list(sources) == [source.octets],
        seen=f"{sources[source.octets]} of {sources.total()} announcements from {source}",
    )


def relayed(observed: Observed, wanted: Relayed) -> Expectation:
    """Judge how long attempts failed after a capture."""
    what = f"all are served again within {wanted.relay_ms_max:g} ms of '{wanted.after}'"
    took_ms = relay_ms(observed, wanted)
    if took_ms is None:
        seen = "no capture, no attempt that failed, or none that succeeded again"
        return observed.found(what, held=False, seen=seen)
    return observed.found(what, held=took_ms <= wanted.relay_ms_max, seen=f"after {took_ms:.1f} ms")


def relay_ms(observed: Observed, wanted: Relayed) -> float | None:
    """Return the time from a capture to full service as a figure, or None if nothing shows it."""
    entries = _entries(observed, wanted.after, 0.0, wanted.until)
    captured_s = min((each.at_s for each in entries if each.port == wanted.captor), default=None)
    if captured_s is None:
        return None
    flows = by_flow(exchanges(observed.sent))
    until_s = observed.end_of(wanted.until)
    tried = sorted(
        (
            each
            for each in observed.evidence.attempts
            if each.batch in wanted.batches and captured_s <= each.at_s < until_s
        ),
        key=lambda each: each.at_s,
    )
    failed = [at for at, each in enumerate(tried) if not is_prompt(flows, each)]
    if not failed or failed[-1] + 1 == len(tried):
        return None
    return round((tried[failed[-1] + 1].at_s - captured_s) * _MS, 3)


def arrives_masked(observed: Observed, wanted: ArrivesMasked) -> Expectation:
    """Judge that what a host sent from the VMAC came to the switch from its masked address."""
    node = observed.topology.node(wanted.host)
    cluster = observed.cluster
    masked = cluster.masked_mac(HostIndex(node.number - 1), node.mac)
    at_port = [
        each
        for each in observed.evidence.frames
        if each.direction is Direction.FROM_NODE and each.port == wanted.host
    ]
    seen_heads = Counter(each.data[:ETHERNET_SIZE] for each in at_port)
    faults = []
    for step in observed.scenario.steps:
        if isinstance(step, SendFrom) and step.node == wanted.host and step.way is Way.ABOVE:
            head = frame_of(step, observed.topology)[:ETHERNET_SIZE]
            expected = head[:MAC_SIZE] + masked.octets + head[2 * MAC_SIZE :]
            if seen_heads[expected] < step.count or seen_heads[head]:
                faults.append(f"{step.kind}: {seen_heads[expected]} masked of {step.count}")
    return observed.found(
        f"whatever {wanted.host} sends from the cluster's MAC is on the wire, masked",
        held=bool(at_port) and not faults,
        seen=with_examples(f"{len(at_port)} frames of {wanted.host}", faults),
    )


def sent_thrice(observed: Observed, what: str) -> Expectation:
    """Judge how often each frame was on the wire beyond the times that its client sent it."""
    by_clients = Counter(each.identity for each in observed.sent if each.is_to_vip)
    by_hosts = Counter(each.identity for each in observed.relayed)
    more = SENT_MAX - 1
    often = [one for one, count in by_hosts.items() if count > more * max(by_clients[one], 1)]
    broke_s = [each.at_s for each in observed.relayed if each.identity in often]
    return observed.found(
        what,
        held=bool(by_clients) and not often,
        seen=f"{by_hosts.total()} of {by_clients.total()} sent on, {len(often)} too often",
        broke_s=broke_s,
    )


def _entries(observed: Observed, after: str, within_s: float, until: str) -> list[BridgeEntry]:
    """Return the entries of the VMAC that a switch held in a stretch of time."""
    moment = observed.moment(after)
    if moment is None:
        return []
    since_s, until_s = moment.at_s + within_s, observed.end_of(until)
    return [
        each
        for each in observed.evidence.bridge_entries
        if each.mac == observed.cluster.vmac
        and each.at_s < until_s
        and (each.gone_s is None or each.gone_s > since_s)
    ]


def _tried(
    observed: Observed, wanted: Served | Unserved
) -> tuple[tuple[Attempt, ...], frozenset[Attempt]]:
    """Return the attempts of a stretch of time, and those that were answered on their first SYN."""
    moment = observed.moment(wanted.after)
    if moment is None:
        return (), frozenset()
    until_s = observed.end_of(wanted.until)
    flows = by_flow(exchanges(observed.sent))
    tried = tuple(
        each
        for each in observed.evidence.attempts
        if each.batch == wanted.batch and moment.at_s + wanted.within_s <= each.at_s < until_s
    )
    return tried, frozenset(each for each in tried if is_prompt(flows, each))


def _words_of(entries: list[BridgeEntry]) -> str:
    examples = [f"at port {each.port} of {each.switch}, {each.at_s:.3f} s" for each in entries]
    return with_examples(f"{len(entries)} entries", examples)


def _examples(attempts: list[Attempt]) -> list[str]:
    return [
        f"{flow_words((each.source, each.source_port, each.server_port))} at {each.at_s:.3f} s: "
        f"{each.error or 'needed a second SYN'}"
        for each in attempts
    ]
