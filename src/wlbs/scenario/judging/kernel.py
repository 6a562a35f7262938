# SPDX-License-Identifier: Apache-2.0
"""What the hosts' kernels held at the end, and when things came to pass.

Knows filter tables as sets of buckets, boot nonces and moments. Knows nothing of agents.
"""

from typing import Final

from wlbs.core.buckets import BUCKET_COUNT
from wlbs.scenario.evidence import Holding
from wlbs.scenario.expectations import FlagsGone, Follows, NonceChanged, TableExact
from wlbs.scenario.judging.observed import Observed, with_examples
from wlbs.scenario.report import Expectation

_ALL_BUCKETS: Final = (1 << BUCKET_COUNT) - 1
_MS: Final = 1000


def table_exact(observed: Observed, wanted: TableExact) -> Expectation:
    """Judge that the hosts' tables, laid over each other, hold each bucket once.

    Quotas are those of equal load weights; the default rule has none, one host has it whole.
    """
    holdings = [each for each in observed.evidence.holdings if each.host in wanted.hosts]
    rules = sorted({each.rule for each in holdings})
    faults = []
    for rule in rules:
        of_rule = [each for each in holdings if each.rule == rule]
        faults += _faults(of_rule, wanted.hosts, is_shared=rule != rules[-1])
    return observed.found(
        f"{', '.join(wanted.hosts)} hold every bucket once, none off its quota by more than one",
        held=bool(rules) and not faults,
        seen=with_examples(f"{len(rules)} rules, {len(faults)} faults", faults),
    )


def flags_gone(observed: Observed, wanted: FlagsGone) -> Expectation:
    """Judge that no bucket is flagged any more."""
    del wanted
    holdings = observed.evidence.holdings
    flagged = [each for each in holdings if each.flagged_count]
    return observed.found(
        "no host holds a flagged bucket at the end",
        held=bool(holdings) and not flagged,
        seen=with_examples(
            f"{sum(each.flagged_count for each in flagged)} flags in {len(holdings)} tables",
            [f"{each.host} has {each.flagged_count} in rule {each.rule}" for each in flagged],
        ),
    )


def nonce_changed(observed: Observed, wanted: NonceChanged) -> Expectation:
    """Judge that a host's data path is another than at the beginning."""
    nonces = observed.evidence.nonces.get(wanted.host, ())
    return observed.found(
        f"the boot nonce of {wanted.host} has changed",
        held=bool(nonces) and nonces[0] != nonces[-1],
        seen=" then ".join(f"{nonce:016x}" for nonce in nonces) or "none seen",
    )


def follows(observed: Observed, wanted: Follows) -> Expectation:
    """Judge how soon one moment came after another."""
    what = f"'{wanted.then}' comes within {wanted.within_s:g} s of '{wanted.after}'"
    delay_ms = follows_ms(observed, wanted)
    if delay_ms is None:
        return observed.found(what, held=False, seen="one of the two never came")
    held = 0 <= delay_ms <= wanted.within_s * _MS
    return observed.found(what, held=held, seen=f"after {delay_ms:.0f} ms")


def follows_ms(observed: Observed, wanted: Follows) -> float | None:
    """Return the time between two moments, or None if one of them never came."""
    after, then = observed.moment(wanted.after), observed.moment(wanted.then)
    return None if after is None or then is None else round((then.at_s - after.at_s) * _MS, 3)


def _faults(holdings: list[Holding], hosts: tuple[str, ...], *, is_shared: bool) -> list[str]:
    """Return what is wrong with one rule's holdings."""
    faults, held_by_any, held_twice = [], 0, 0
    for each in holdings:
        held_twice |= held_by_any & each.owned
        held_by_any |= each.owned
        count = each.owned.bit_count()
        if is_shared and not abs(count - BUCKET_COUNT / len(hosts)) <= 1:
            faults.append(f"{each.host} has {count} buckets of rule {each.rule}")
    rule = holdings[0].rule
    if held_twice:
        faults.append(f"{held_twice.bit_count()} buckets of rule {rule} are held twice")
    if held_by_any != _ALL_BUCKETS:
        missing = BUCKET_COUNT - held_by_any.bit_count()
        faults.append(f"{missing} buckets of rule {rule} are held by nobody")
    silent = [host for host in hosts if host not in {each.host for each in holdings}]
    return faults + [f"{host} has no table" for host in silent]
