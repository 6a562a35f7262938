# SPDX-License-Identifier: Apache-2.0
"""Everything that can happen to a member, as frozen values named by past participles.

Knows no cause and no consequence: the driver makes events of what it sees, `member` decides.
"""

from dataclasses import dataclass
from typing import NewType

from wlbs.core.rules import HostIndex

Instant = NewType("Instant", int)
"""Nanoseconds since an origin the caller chose; never compared across hosts."""


@dataclass(frozen=True, slots=True)
class TimerFired:
    """The caller's clock reached ``deadline``; too early or too often is harmless."""


@dataclass(frozen=True, slots=True)
class StopRequested:
    """An operator said that a host is to leave at once."""

    host: HostIndex


@dataclass(frozen=True, slots=True)
class StartRequested:
    """An operator said that a host is to join."""

    host: HostIndex


Event = TimerFired | StopRequested | StartRequested
