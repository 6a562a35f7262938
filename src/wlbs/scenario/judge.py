# SPDX-License-Identifier: Apache-2.0
"""From what was observed to what held: every expectation as a pure function of the evidence.

Judges by clients, switch ports, the switch's table, service logs and the kernels' tables and
counters, and never by what an agent says of itself. An expectation about something of which
nothing was seen has not held: silence proves nothing. Knows which function judges what; how is in
the package `judging`.
"""

from collections.abc import Callable
from typing import Final, assert_never

from wlbs.scenario.expectations import (
    Announced,
    ArrivesMasked,
    Bystanders,
    CutOff,
    Expects,
    FairShare,
    FinishedLate,
    FlagsGone,
    Follows,
    Forgotten,
    Holds,
    KeptAs,
    Learned,
    LeaseMargin,
    Names,
    NonceChanged,
    NoneBroken,
    NothingNewAt,
    OpenedTwice,
    Relayed,
    Served,
    TableExact,
    TakenOver,
    Tells,
    Unbroken,
    Unserved,
    Visited,
)
from wlbs.scenario.judging import (
    capturing,
    clients,
    kernel,
    ownership,
    racing,
    reaching,
    saying,
    wire,
)
from wlbs.scenario.judging.observed import Observed
from wlbs.scenario.report import Expectation

_HOLDS: Final[dict[Holds, Callable[[Observed, str], Expectation]]] = {
    Holds.CAPTURES_COMPLETE: wire.captures_complete,
    Holds.ALL_ANSWERED: clients.all_answered,
    Holds.LOGS_AGREE: clients.logs_agree,
    Holds.COUNTERS_AGREE: ownership.counters_agree,
    Holds.VMAC_UNLEARNED: wire.vmac_unlearned,
    Holds.VMAC_UNSENT: wire.vmac_unsent,
    Holds.ARP_TRUE: wire.arp_true,
    Holds.ARP_ONCE: wire.arp_once,
    Holds.SYN_ONCE: ownership.syn_once,
    Holds.NEVER_TWO_OWNERS: ownership.never_two_owners,
    Holds.NO_RESET: wire.no_reset,
    Holds.NO_HOST_RESET: racing.no_host_reset,
    Holds.KEPT_ONCE: racing.kept_once,
    Holds.COUNTED_ONCE: racing.counted_once,
    Holds.SENT_THRICE: capturing.sent_thrice,
    Holds.OWN_ARP_TRUE: reaching.own_arp_true,
    Holds.SENT_ONCE: reaching.sent_once,
    Holds.NEIGHBOURS_TRUE: wire.neighbours_true,
}


def judge(observed: Observed) -> tuple[Expectation, ...]:
    """Return every expectation of a scenario, held or not."""
    return tuple(_judge(observed, each) for each in observed.scenario.expects)


def figures_of(observed: Observed) -> dict[str, float]:
    """Return the numbers of a run that people and later runs compare."""
    evidence = observed.evidence
    figures: dict[str, float] = {
        "connections": len(evidence.attempts) + len(evidence.connections),
        "connections_failed": sum(1 for each in evidence.attempts if each.answered_by is None),
        "broken": _broken_count(observed),
        "refused": clients.refused_count(observed),
        "resets": wire.reset_count(observed),
        "transfers": sum(each.transfer_count for each in evidence.connections),
        "frames_captured": len(evidence.frames),
    }
    for expects in observed.scenario.expects:
        for name, value in _figures(observed, expects).items():
            # Of several that bear one name the worst counts; a margin is worst when it is small.
            worst = min if isinstance(expects, LeaseMargin) else max
            figures[name] = worst(figures.get(name, value), value)
    return figures


def _judge(  # noqa: C901, PLR0911, PLR0912 - one line for each kind of expectation
    observed: Observed, expects: Expects
) -> Expectation:
    match expects:
        case Holds():
            return _HOLDS[expects](observed, expects.value)
        case FairShare():
            return clients.fair_share(observed, expects)
        case Visited():
            return reaching.visited(observed, expects)
        case Bystanders():
            return reaching.bystanders(observed, expects)
        case TakenOver():
            return clients.taken_over(observed, expects)
        case Unbroken():
            return clients.unbroken(observed, expects)
        case NoneBroken():
            return clients.none_broken(observed, expects)
        case NothingNewAt():
            return clients.nothing_new_at(observed, expects)
        case Follows():
            return kernel.follows(observed, expects)
        case TableExact():
            return kernel.table_exact(observed, expects)
        case FlagsGone():
            return kernel.flags_gone(observed, expects)
        case LeaseMargin():
            return ownership.lease_margin(observed, expects)
        case NonceChanged():
            return kernel.nonce_changed(observed, expects)
        case KeptAs():
            return racing.kept_as(observed, expects)
        case OpenedTwice():
            return racing.opened_twice(observed, expects)
        case FinishedLate():
            return racing.finished_late(observed, expects)
        case Learned() | Forgotten() | Served() | Unserved() | CutOff() | Relayed():
            return _judge_capture(observed, expects)
        case ArrivesMasked():
            return capturing.arrives_masked(observed, expects)
        case Announced():
            return capturing.announced(observed, expects)
        case Names():
            return saying.names(observed, expects)
        case Tells():
            return saying.tells(observed, expects)
        case _:
            assert_never(expects)


def _judge_capture(
    observed: Observed,
    expects: Learned | Forgotten | Served | Unserved | CutOff | Relayed,
) -> Expectation:
    match expects:
        case Learned():
            return capturing.learned(observed, expects)
        case Forgotten():
            return capturing.forgotten(observed, expects)
        case Served():
            return capturing.served(observed, expects)
        case Unserved():
            return capturing.unserved(observed, expects)
        case CutOff():
            return capturing.cut_off(observed, expects)
        case Relayed():
            return capturing.relayed(observed, expects)
        case _:
            assert_never(expects)


def _figures(observed: Observed, expects: Expects) -> dict[str, float]:
    """Return the figures of one expectation, those that are to be seen."""
    found: dict[str, float | None] = {}
    match expects:
        case FairShare(batch=batch):
            counts = clients.answer_counts(observed, batch)
            total = max(sum(counts.values()), 1)
            for host in observed.topology.hosts:
                name = f"share_{batch.replace(' ', '_')}_{host.name}"
                found[name] = round(counts[host.name] / total, 4)
        case TakenOver():
            found["gap_ms"] = clients.gap_ms(observed, expects)
        case CutOff(batch=batch):
            found[f"cut_off_ms_{batch}"] = capturing.cut_off_ms(observed, expects)
        case Relayed():
            found["relay_ms"] = capturing.relay_ms(observed, expects)
        case Bystanders():
            found["bystander_share"] = reaching.bystander_share(observed)
        case LeaseMargin():
            found["lease_margin_ms"] = ownership.lease_margin_ms(observed, expects)
        case Follows(figure=figure) if figure:
            found[figure] = kernel.follows_ms(observed, expects)
        case _:
            pass
    return {name: value for name, value in found.items() if value is not None}


def _broken_count(observed: Observed) -> int:
    """Return how many connections broke that were not to break."""
    judged = [
        each
        for expects in observed.scenario.expects
        if isinstance(expects, Unbroken)
        for each in clients.judged_connections(observed, expects)
    ]
    return sum(1 for each in judged if each.error or each.answered_by is None)
