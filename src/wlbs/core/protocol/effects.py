# SPDX-License-Identifier: Apache-2.0
"""Everything a member can ask for, as frozen values named by imperatives.

Knows nothing of how it is done: the agent's driver and the simulator carry effects out, each in
its own world.
"""

from dataclasses import dataclass
from enum import StrEnum

from wlbs.core.protocol.events import Instant
from wlbs.core.rules import HostIndex
from wlbs.core.table import FilterTable


class State(StrEnum):
    """Where a member stands; the only legal moves are in `member.TRANSITIONS`."""

    STOPPED = "stopped"
    CONVERGED = "converged"


@dataclass(frozen=True, slots=True)
class InstallTable:
    """Decide every frame from now on by this table."""

    table: FilterTable


@dataclass(frozen=True, slots=True)
class HoldLease:
    """Let the data path take new flows until this instant, and no longer."""

    until: Instant


@dataclass(frozen=True, slots=True)
class EndLease:
    """Let the data path take no new flow from now on."""


@dataclass(frozen=True, slots=True)
class ReportState:
    """Tell the operator that this member has moved, and why."""

    before: State
    after: State
    because: str


@dataclass(frozen=True, slots=True)
class ReportMembership:
    """Tell the operator which hosts now count as present, and why."""

    present: frozenset[HostIndex]
    because: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """Tell whoever asked that nothing was done, and why."""

    because: str


Effect = InstallTable | HoldLease | EndLease | ReportState | ReportMembership | Refuse
