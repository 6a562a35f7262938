# SPDX-License-Identifier: Apache-2.0
"""What a host's kernel counts and decides by, read from its pinned maps without asking its agent.

Knows where a lab's agents pin. Knows nothing of what the counts and tables should be.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from wlbs.core.rules import DEFAULT_RULE, RuleIndex
from wlbs.datapath.loader import Datapath
from wlbs.lab.names import LabNames
from wlbs.linux.error import LinuxError
from wlbs.scenario.evidence import Holding


def read_counters(names: LabNames, host: str) -> dict[str, int]:
    """Return how many frames each reason has had at a host since its programs were loaded."""
    with _opened(names, host) as datapath:
        if datapath is None:
            return {}
        return {reason.name: count for reason, count in datapath.counters().items()}


def read_nonce(names: LabNames, host: str) -> int | None:
    """Return the boot nonce of a host's data path, or None if it has none."""
    with _opened(names, host) as datapath:
        return None if datapath is None else datapath.boot_nonce()


def read_holdings(names: LabNames, host: str, rule_count: int) -> tuple[Holding, ...]:
    """Return what a host holds by its kernel's table, the default rule last."""
    with _opened(names, host) as datapath:
        installed = None if datapath is None else datapath.installed()
    if installed is None:
        return ()
    holdings = []
    for place, rule in enumerate((*map(RuleIndex, range(rule_count)), DEFAULT_RULE)):
        buckets = installed.buckets(rule)
        owned = "".join("1" if owner == installed.own else "0" for owner in buckets.owners)
        # The lowest bit is bucket 0.
        holdings.append(Holding(host, place, int(owned[::-1], 2), buckets.flagged_count))
    return tuple(holdings)


def is_stopped(names: LabNames, host: str) -> bool:
    """Tell whether a host's kernel serves nothing any more; one without a table does not."""
    with _opened(names, host) as datapath:
        installed = None if datapath is None else datapath.installed()
    return installed is None or installed.is_stopped


@contextmanager
def _opened(names: LabNames, host: str) -> Iterator[Datapath | None]:
    try:
        datapath = Datapath.open(names.pins(host))
    except LinuxError:
        # Nothing is pinned: its agent has ended and undone everything.
        yield None
        return
    try:
        yield datapath
    finally:
        datapath.close()
