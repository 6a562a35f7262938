# SPDX-License-Identifier: Apache-2.0
"""A cluster at work in each mode that gives the VMAC to its hosts' interfaces.

In mode unicast as NLB had it: whatever protocol a host speaks, its source is masked (Q193602,
Q227812), and hosts reach each other by their own addresses (Q197864, Q238524). Behind a hub,
unmasked. As a multicast address, and as that of a group a snooping switch knows the members of.
"""

from dataclasses import replace
from typing import Final

from wlbs.core.cluster import Mode
from wlbs.scenario.expectations import Bystanders, Expects, FairShare, Holds, Visited
from wlbs.scenario.scripts.parts import victim_of
from wlbs.scenario.setup import Setup
from wlbs.scenario.steps import Leaked, Scenario, SendFlows, SendFrom, Spread, Step, Visit
from wlbs.scenario.topology import Shape, Topology

_WORK: Final[tuple[Step, ...]] = (
    SendFlows("affinity none", 80, 1000, Spread.PORTS),
    Visit("visits"),
    SendFlows("affinity single", 81, 400, Spread.ADDRESSES),
)

_WORKS: Final[tuple[Expects, ...]] = (
    Holds.CAPTURES_COMPLETE,
    Holds.ALL_ANSWERED,
    # Three standard deviations of a fair binomial share: 4.5 points of 1,000, 7.1 of 400.
    FairShare("affinity none", 0.05),
    FairShare("affinity single", 0.08),
    Visited("visits"),
    Holds.LOGS_AGREE,
    Holds.COUNTERS_AGREE,
    Holds.ARP_ONCE,
    Holds.SYN_ONCE,
    Holds.SENT_ONCE,
    Holds.NEVER_TWO_OWNERS,
    Holds.NO_RESET,
    Holds.NEIGHBOURS_TRUE,
)

_HIDDEN: Final[tuple[Expects, ...]] = (
    Holds.VMAC_UNLEARNED,
    Holds.VMAC_UNSENT,
    Holds.ARP_TRUE,
    Holds.OWN_ARP_TRUE,
)
"""What holds wherever a switch could learn."""


def unicast(topology: Topology) -> Scenario:
    """Return the script of `unicast`: every NIC has the VMAC, and every host forwards."""
    host = victim_of(topology)
    others = tuple(SendFrom(host, kind) for kind in Leaked if kind is not Leaked.UNICAST)
    return Scenario(
        name="unicast",
        summary="hosts with one MAC address and forwarding on share the load and reach each other",
        topology=topology,
        steps=(*_WORK, *others, SendFlows("after other protocols", 80, 60, Spread.PORTS)),
        expects=(*_WORKS, *_HIDDEN),
        setup=Setup(Mode.UNICAST, forwarding=True),
    )


def hub_unmasked(topology: Topology) -> Scenario:
    """Return the script of `hub-unmasked`: nothing learns, so nothing is hidden (Q193602)."""
    return Scenario(
        name="hub-unmasked",
        summary="behind a hub hosts serve with the cluster's MAC as their source, forwarding on",
        topology=replace(topology, shape=Shape.HUB),
        steps=_WORK,
        expects=_WORKS,
        setup=Setup(Mode.UNICAST, masks_source=False, forwarding=True),
    )


def multicast(topology: Topology) -> Scenario:
    """Return the script of `multicast`: a switch floods it, and own ARP names the NIC (960916)."""
    return Scenario(
        name="multicast",
        summary="the cluster's MAC is a multicast address, which no switch learns",
        topology=replace(topology, stranger=True),
        steps=_WORK,
        expects=(*_WORKS, *_HIDDEN, Bystanders(1.0)),
        setup=Setup(Mode.MULTICAST),
    )


def igmp(topology: Topology) -> Scenario:
    """Return the script of `igmp`: a switch that snoops sends only to hosts."""
    return Scenario(
        name="igmp",
        summary="the cluster's MAC is that of a group, whose members a snooping switch knows",
        topology=replace(topology, shape=Shape.SNOOPING, stranger=True),
        steps=_WORK,
        expects=(*_WORKS, *_HIDDEN, Bystanders(0.0)),
        setup=Setup(Mode.IGMP),
    )
