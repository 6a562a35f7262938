# SPDX-License-Identifier: Apache-2.0
"""Why a frame was passed, kept, answered, relayed, dropped or masked: one number for each reason.

The numbers are shared with the eBPF programs, which count by them, and are append-only: a reason
that is retired keeps its number. Knows nothing of how a reason is arrived at; that is `filter`
for what comes in and `guard` for what goes out.
"""

from enum import IntEnum, unique
from typing import Final


@unique
class Action(IntEnum):
    """What becomes of a frame."""

    PASS = 0
    """Handed to the stack untouched: it is not the cluster's business."""
    KEEP = 1
    """Handed to the stack, its destination rewritten to the station MAC."""
    ANSWER = 2
    """Turned into the answer and sent back where it came from."""
    DROP = 3
    """Dropped in silence."""
    MASK = 4
    """Sent, its source rewritten (egress only)."""
    RELAY = 5
    """Sent on to another host, from this one's address."""


@unique
class Reason(IntEnum):
    """Why; the number indexes the counters of the eBPF programs."""

    NOT_CLUSTER = 0
    HEARTBEAT = 1
    OWNER = 2
    CLAIMED = 3
    COOKIE = 4
    FRAGMENT = 5
    ARP_ANSWERED = 6
    NOT_OWNER = 7
    UNCLAIMED = 8
    LEASE_EXPIRED = 9
    DISABLED = 10
    ARP_NOT_OWNER = 11
    ARP_CONFLICT = 12
    ARP_ANNOUNCED = 13
    ARP_OTHER = 14
    NOT_VIP = 15
    ETHERTYPE = 16
    VLAN = 17
    ARP_MALFORMED = 18
    IPV4_MALFORMED = 19
    TCP_MALFORMED = 20
    UDP_MALFORMED = 21
    ICMP_MALFORMED = 22
    SOURCE_VMAC = 23
    GROUP_DESTINATION = 24
    GUARD_PASSED = 25
    GUARD_MASKED = 26
    GUARD_ARP_DROPPED = 27
    NO_TABLE = 28
    STOPPED = 29
    PROBE_ANSWERED = 30
    DELIVERY_PROBE = 31
    RELAYED = 32
    RELAY_AWAITED = 33
    OWN = 34
    GUARD_NEIGHBOUR_MASKED = 35


ACTION: Final[dict[Reason, Action]] = {
    Reason.NOT_CLUSTER: Action.PASS,
    Reason.HEARTBEAT: Action.PASS,
    Reason.OWNER: Action.KEEP,
    Reason.CLAIMED: Action.KEEP,
    Reason.COOKIE: Action.KEEP,
    Reason.FRAGMENT: Action.KEEP,
    Reason.ARP_ANSWERED: Action.ANSWER,
    Reason.NOT_OWNER: Action.DROP,
    Reason.UNCLAIMED: Action.DROP,
    Reason.LEASE_EXPIRED: Action.DROP,
    Reason.DISABLED: Action.DROP,
    Reason.ARP_NOT_OWNER: Action.DROP,
    Reason.ARP_CONFLICT: Action.DROP,
    Reason.ARP_ANNOUNCED: Action.DROP,
    Reason.ARP_OTHER: Action.DROP,
    Reason.NOT_VIP: Action.DROP,
    Reason.ETHERTYPE: Action.DROP,
    Reason.VLAN: Action.DROP,
    Reason.ARP_MALFORMED: Action.DROP,
    Reason.IPV4_MALFORMED: Action.DROP,
    Reason.TCP_MALFORMED: Action.DROP,
    Reason.UDP_MALFORMED: Action.DROP,
    Reason.ICMP_MALFORMED: Action.DROP,
    Reason.SOURCE_VMAC: Action.DROP,
    Reason.GROUP_DESTINATION: Action.DROP,
    Reason.GUARD_PASSED: Action.PASS,
    Reason.GUARD_MASKED: Action.MASK,
    Reason.GUARD_ARP_DROPPED: Action.DROP,
    Reason.NO_TABLE: Action.PASS,
    Reason.STOPPED: Action.DROP,
    Reason.PROBE_ANSWERED: Action.ANSWER,
    Reason.DELIVERY_PROBE: Action.DROP,
    Reason.RELAYED: Action.RELAY,
    Reason.RELAY_AWAITED: Action.DROP,
    Reason.OWN: Action.KEEP,
    Reason.GUARD_NEIGHBOUR_MASKED: Action.MASK,
}
"""What each reason does to a frame; one action per reason, so that a count tells both."""

MEANING: Final[dict[Reason, str]] = {
    Reason.NOT_CLUSTER: "not addressed to the cluster",
    Reason.HEARTBEAT: "a cluster heartbeat (ethertype 0x886F)",
    Reason.OWNER: "this host owns the flow's bucket",
    Reason.CLAIMED: "a socket of this host claims the segment",
    Reason.COOKIE: "the segment acknowledges a SYN cookie of this host",
    Reason.FRAGMENT: "a later fragment; only the host with the first one can complete it",
    Reason.ARP_ANSWERED: "ARP request for a virtual IP, answered by this host",
    Reason.NOT_OWNER: "another host owns the flow's bucket",
    Reason.UNCLAIMED: "the bucket has changed hands and no socket here claims the segment",
    Reason.LEASE_EXPIRED: "this host's lease has run out, so it takes nothing new",
    Reason.DISABLED: "no host takes this traffic",
    Reason.ARP_NOT_OWNER: "ARP request for a virtual IP that another host answers",
    Reason.ARP_CONFLICT: "somebody else claims a virtual IP by ARP",
    Reason.ARP_ANNOUNCED: "an ARP answer or announcement of the cluster's own",
    Reason.ARP_OTHER: "ARP about a virtual IP, or sent to the cluster's MAC, that asks for none",
    Reason.NOT_VIP: "sent to the cluster's MAC but to no virtual IP",
    Reason.ETHERTYPE: "sent to the cluster's MAC with an ethertype it does not serve",
    Reason.VLAN: "sent to the cluster's MAC with a VLAN tag",
    Reason.ARP_MALFORMED: "sent to the cluster's MAC with a malformed ARP body",
    Reason.IPV4_MALFORMED: "sent to the cluster's MAC with a malformed IPv4 header",
    Reason.TCP_MALFORMED: "sent to a virtual IP with a malformed TCP header",
    Reason.UDP_MALFORMED: "sent to a virtual IP with a malformed UDP header",
    Reason.ICMP_MALFORMED: "sent to a virtual IP with a malformed ICMP header",
    Reason.SOURCE_VMAC: "carries the cluster's MAC as its source: leaked or forged",
    Reason.GROUP_DESTINATION: "sent to a virtual IP by link-layer multicast or broadcast",
    Reason.GUARD_PASSED: "sent by this host, nothing to hide",
    Reason.GUARD_MASKED: "sent by this host from the cluster's MAC; the source was masked",
    Reason.GUARD_ARP_DROPPED: "sent by this host: ARP naming a virtual IP with another MAC",
    Reason.NO_TABLE: "no filter table is installed",
    Reason.STOPPED: "this host has been stopped and serves nothing",
    Reason.PROBE_ANSWERED: "a liveness probe, answered by this host's data path",
    Reason.DELIVERY_PROBE: "a delivery probe: frames for the cluster reach this host",
    Reason.RELAYED: "another host's, and that host receives by relay: sent on to it",
    Reason.RELAY_AWAITED: "came from the segment, while this host takes relayed frames only",
    Reason.OWN: "for this host alone, sent to an address that its interface does not have",
    Reason.GUARD_NEIGHBOUR_MASKED: "sent by this host: ARP or ND of its own, its MAC was masked",
}
"""One line per reason for people: ``wlbs query``, the docs and the doctor use the same words."""
