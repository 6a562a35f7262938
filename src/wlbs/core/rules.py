# SPDX-License-Identifier: Apache-2.0
"""Port rules: which traffic is shared how, in NLB's terms.

Knows a rule's reach (virtual IP, protocol, ports), its filtering mode, affinity and load weights,
and which rule covers a given port. Knows nothing of buckets or of who is alive.

Rules never overlap, so which one covers a port is a question with at most one answer and the order
of the rules carries no meaning. What no rule covers goes to the default host (KB Q198496).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, unique
from typing import Final, NewType

from wlbs.core.address import IpAddress
from wlbs.core.frame import IpProtocol

HostIndex = NewType("HostIndex", int)
"""A host as tables count it: its host priority less one, 0 to 63."""

RuleIndex = NewType("RuleIndex", int)
"""A rule as tables count it: its place in the configuration, 0 to 31, or `DEFAULT_RULE`."""

RULE_COUNT_MAX: Final = 32
"""User rules per cluster, as in NLB (its heartbeat has 33 slots, the last for the default rule)."""

DEFAULT_RULE: Final = RuleIndex(RULE_COUNT_MAX)
PORT_MAX: Final = 0xFFFF
LOAD_WEIGHT_MAX: Final = 100
LOAD_WEIGHT_DEFAULT: Final = 50
"""Load weights run from 0 to 100 and default to 50 (Set-NlbClusterPortRuleNodeWeight)."""


@unique
class Protocol(IntEnum):
    """What a rule covers; the values are NLB's own (WMI PortRuleEx)."""

    TCP = 1
    UDP = 2
    BOTH = 3


@unique
class Affinity(IntEnum):
    """Which part of a client's identity chooses the host (KB Q198496)."""

    NONE = 0
    """Client address, both ports and protocol: each connection by itself."""
    SINGLE = 1
    """Client address only: all of one client's connections go to one host."""
    NETWORK = 2
    """The client's network, /24 for IPv4: all of a proxy farm goes to one host."""


@unique
class FilteringMode(IntEnum):
    """How the hosts share a rule's traffic; single host and disabled are still to come."""

    MULTIPLE = 0


@dataclass(frozen=True, slots=True)
class PortRule:
    """One port rule; ``vip`` None stands for every virtual IP of the cluster.

    ``load_weights`` names the hosts whose weight is not the default.
    """

    first_port: int
    last_port: int
    protocol: Protocol = Protocol.BOTH
    vip: IpAddress | None = None
    mode: FilteringMode = FilteringMode.MULTIPLE
    affinity: Affinity = Affinity.SINGLE
    load_weights: Mapping[HostIndex, int] = field(default_factory=dict)

    def covers(self, vip: IpAddress, protocol: int, port: int) -> bool:
        """Whether a packet to this virtual IP, protocol and port falls under the rule."""
        return (
            self.vip in {None, vip}
            and _carries(self.protocol, protocol)
            and self.first_port <= port <= self.last_port
        )

    def overlaps(self, other: "PortRule") -> bool:
        """Whether some packet would fall under both rules."""
        return (
            (self.vip is None or other.vip is None or self.vip == other.vip)
            and bool(self.protocol & other.protocol)
            and self.first_port <= other.last_port
            and other.first_port <= self.last_port
        )

    def load_weight(self, host: HostIndex) -> int:
        """Return the host's load weight under this rule, 0 to 100."""
        return self.load_weights.get(host, LOAD_WEIGHT_DEFAULT)


def find_rule(
    rules: tuple[PortRule, ...], vip: IpAddress, protocol: int, port: int | None
) -> RuleIndex:
    """Return the rule that covers a packet, or `DEFAULT_RULE`; a packet without ports has None."""
    if port is not None:
        for index, rule in enumerate(rules):
            if rule.covers(vip, protocol, port):
                return RuleIndex(index)
    return DEFAULT_RULE


def _carries(covered: Protocol, protocol: int) -> bool:
    match protocol:
        case IpProtocol.TCP:
            return bool(covered & Protocol.TCP)
        case IpProtocol.UDP:
            return bool(covered & Protocol.UDP)
        case _:
            return False
