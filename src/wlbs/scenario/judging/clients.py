# SPDX-License-Identifier: Apache-2.0
"""What clients got: answers, shares, gaps, and connections that last.

Knows attempts, connections, the services' logs, and how many SYNs an attempt took. Knows nothing
of hosts but their names.
"""

from collections import Counter
from typing import Final

from wlbs.scenario.evidence import Attempt, Connection, Failure
from wlbs.scenario.expectations import FairShare, NoneBroken, NothingNewAt, TakenOver, Unbroken
from wlbs.scenario.judging.exchanges import Exchange, by_flow, exchanges
from wlbs.scenario.judging.observed import FlowId, Observed, flow_words, with_examples
from wlbs.scenario.report import Expectation

_MS: Final = 1000
_CLOCK_S: Final = 0.001
"""A client reads its clock before it sends; a capture's stamp may be this much earlier, no more."""


def all_answered(observed: Observed, what: str) -> Expectation:
    """Judge that every attempt of the run was answered."""
    attempts = observed.evidence.attempts
    return _none_failed(observed, what, attempts)


def none_broken(observed: Observed, wanted: NoneBroken) -> Expectation:
    """Judge that every attempt of one batch was answered."""
    what = f"no attempt of '{wanted.batch}' is refused, reset or lost"
    return _none_failed(observed, what, _attempts(observed, wanted.batch))


def fair_share(observed: Observed, wanted: FairShare) -> Expectation:
    """Judge each host's part of a batch."""
    counts = answer_counts(observed, wanted.batch)
    total = max(sum(counts.values()), 1)
    due = 1 / observed.topology.host_count
    shares = {host.name: counts[host.name] / total for host in observed.topology.hosts}
    return observed.found(
        f"each host has {due:.1%} of '{wanted.batch}', within {wanted.tolerance * 100:g} points",
        held=all(abs(part - due) <= wanted.tolerance for part in shares.values()),
        seen=", ".join(f"{name} {part:.1%}" for name, part in shares.items()),
    )


def logs_agree(observed: Observed, what: str) -> Expectation:
    """Compare the services' logs with the answers clients got."""
    answers = Counter(
        (each.answered_by, str(each.source), each.source_port, each.server_port)
        for each in observed.evidence.attempts
        if each.answered_by is not None
    )
    logged = Counter(
        (each.host, str(each.source), each.source_port, each.server_port)
        for each in observed.evidence.log
    )
    differing = sorted(map(str, ((answers - logged) + (logged - answers)).elements()))
    seen = f"{answers.total()} answers, {logged.total()} log lines, {len(differing)} differ"
    held = bool(answers) and not differing
    return observed.found(what, held=held, seen=with_examples(seen, differing))


def taken_over(observed: Observed, wanted: TakenOver) -> Expectation:
    """Judge how long new connections failed after a moment."""
    what = f"'{wanted.batch}' is answered again within {wanted.gap_ms_max:g} ms of '{wanted.after}'"
    gap = gap_ms(observed, wanted)
    if gap is None:
        return observed.found(what, held=False, seen="no attempt failed and none succeeded again")
    return observed.found(what, held=gap <= wanted.gap_ms_max, seen=f"after {gap:.1f} ms")


def gap_ms(observed: Observed, wanted: TakenOver) -> float | None:
    """Return the gap as a figure, or None if nothing shows it.

    The moment is when the deed began: until it takes effect the host aimed at goes on answering,
    and that ends no gap.
    """
    moment = observed.moment(wanted.after)
    if moment is None:
        return None
    lost_host = observed.aims.get(wanted.batch)
    flows = by_flow(exchanges(observed.sent))
    is_failing_seen = False
    for attempt in sorted(_attempts(observed, wanted.batch), key=lambda each: each.at_s):
        answered_by = attempt.answered_by
        if attempt.at_s < moment.at_s or (answered_by and answered_by == lost_host):
            continue
        if not is_prompt(flows, attempt):
            is_failing_seen = True
        elif is_failing_seen:
            return round((attempt.at_s - moment.at_s) * _MS, 3)
    return None


def unbroken(observed: Observed, wanted: Unbroken) -> Expectation:
    """Judge that long-lived connections went on."""
    judged = judged_connections(observed, wanted)
    broken = [each for each in judged if each.error or each.answered_by is None]
    but = f", but those to {wanted.lost_host}," if wanted.lost_host else ""
    transfers = sum(each.transfer_count for each in judged)
    return observed.found(
        f"every connection of '{wanted.batch}'{but} goes on",
        held=bool(judged) and not broken,
        seen=with_examples(
            f"{len(judged) - len(broken)} of {len(judged)} connections, {transfers} transfers",
            [f"{_words(each)} at {each.answered_by}: {each.error}" for each in broken],
        ),
        broke_s=[each.last_transfer_s for each in broken],
    )


def judged_connections(observed: Observed, wanted: Unbroken) -> list[Connection]:
    """Return the connections of which the expectation speaks."""
    return [
        each
        for each in observed.evidence.connections
        if each.batch == wanted.batch
        and (wanted.lost_host is None or each.answered_by != wanted.lost_host)
    ]


def nothing_new_at(observed: Observed, wanted: NothingNewAt) -> Expectation:
    """Judge that a host answered no attempt of a stretch of time."""
    what = f"{wanted.host} takes nothing new from {wanted.within_s:g} s after '{wanted.after}'"
    moment = observed.moment(wanted.after)
    if moment is None:
        return observed.found(what, held=False, seen=f"'{wanted.after}' never came")
    until_s = observed.end_of(wanted.until)
    tried = [
        each
        for each in observed.evidence.attempts
        if moment.at_s + wanted.within_s < each.at_s < until_s
    ]
    wrong = [each for each in tried if each.answered_by == wanted.host]
    return observed.found(
        what,
        held=any(each.answered_by for each in tried) and not wrong,
        seen=f"{len(wrong)} of {len(tried)} attempts",
        broke_s=[each.at_s for each in wrong],
    )


def answer_counts(observed: Observed, batch: str) -> Counter[str]:
    """Return how many attempts of a batch each host answered."""
    return Counter(
        each.answered_by for each in _attempts(observed, batch) if each.answered_by is not None
    )


def refused_count(observed: Observed) -> int:
    """Return how many connections were refused."""
    errors = [each.error for each in observed.evidence.attempts]
    errors += [each.error for each in observed.evidence.connections]
    return sum(1 for error in errors if error.startswith(Failure.REFUSED))


def _none_failed(observed: Observed, what: str, attempts: tuple[Attempt, ...]) -> Expectation:
    failed = [each for each in attempts if each.answered_by is None]
    return observed.found(
        what,
        held=bool(attempts) and not failed,
        seen=with_examples(
            f"{len(attempts) - len(failed)} of {len(attempts)} connections",
            [f"{_words(each)}: {each.error}" for each in failed],
        ),
        broke_s=[each.at_s for each in failed],
    )


def _attempts(observed: Observed, batch: str) -> tuple[Attempt, ...]:
    return tuple(each for each in observed.evidence.attempts if each.batch == batch)


def is_prompt(flows: dict[FlowId, list[Exchange]], attempt: Attempt) -> bool:
    """Tell whether an attempt was answered, and on its first SYN."""
    return attempt.answered_by is not None and _syn_count(flows, attempt) == 1


def _syn_count(flows: dict[FlowId, list[Exchange]], attempt: Attempt) -> int:
    """Return how many SYNs an attempt took: those of the first exchange since it began."""
    flow = (attempt.source, attempt.source_port, attempt.server_port)
    for exchange in flows.get(flow, []):
        if exchange.syns_s[0] >= attempt.at_s - _CLOCK_S:
            return len(exchange.syns_s)
    return 0


def _words(each: Attempt | Connection) -> str:
    return flow_words((each.source, each.source_port, each.server_port))
