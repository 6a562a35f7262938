# SPDX-License-Identifier: Apache-2.0
"""Captures that no program of the cluster is to blame for, and segments that flood nothing.

A stranger sends from the VMAC, a hypervisor does from under a host, a card does as its host joins,
only some switches of a tree learn, or none floods. Each time service goes on, and the cause is
named.
"""

from dataclasses import replace
from typing import Final

from wlbs.core.cluster import Mode
from wlbs.core.protocol.diagnosing import Finding
from wlbs.scenario.expectations import (
    Expects,
    FlagsGone,
    Holds,
    Learned,
    Names,
    NoneBroken,
    Relayed,
    Served,
    TableExact,
    Tells,
    Unbroken,
)
from wlbs.scenario.scripts.capturing import (
    AGEING_S,
    CAPTURED,
    RELAY_MS_MAX,
    TOLD_S,
    aimed,
    ended,
)
from wlbs.scenario.scripts.parts import FLAGS_S, PORT, names_of, victim_of
from wlbs.scenario.setup import Setup
from wlbs.scenario.steps import (
    CloseConnections,
    Deed,
    Do,
    Leaked,
    OpenConnections,
    Scenario,
    SendFrom,
    SetAgeing,
    Step,
    StopSending,
    Wait,
    Way,
)
from wlbs.scenario.topology import Shape, Topology

_ATTEMPT_S: Final = 0.01
_LASTING_COUNT: Final = 90

_HIJACK_S: Final = 3.0
"""For so long a stranger sends; each of its frames is a capture of its own."""
_INTERVAL_S: Final = 0.09
"""More than ten a second, and not in step with what clients do every tenth of a second."""

_FLOODED_S: Final = 2.5
"""How soon after the last entry is gone everything is as it was: a receiver relays for another
second, in case it comes back."""


def hijack(topology: Topology) -> Scenario:
    """Return the script of `hijack`: a stranger sends from the VMAC, ten times a second."""
    with_stranger = replace(topology, stranger=True)
    stranger = with_stranger.strangers[0].name
    count = round(_HIJACK_S / _INTERVAL_S)
    return Scenario(
        name="hijack",
        summary="a stranger sends from the cluster's MAC again and again; hosts pull and relay",
        topology=with_stranger,
        steps=(
            *_begun(with_stranger),
            SendFrom(stranger, count=count, interval_s=_INTERVAL_S, label="hijack"),
            Wait(_HIJACK_S),
            StopSending(stranger, "the stranger ends"),
            *_over(with_stranger),
        ),
        expects=(
            *_goes_on(with_stranger),
            Learned(stranger, "hijack", until="the stranger ends"),
            Names(Finding.STRANGER, None, "hijack", TOLD_S, until="the stranger ends"),
        ),
    )


def vmware_1556(topology: Topology) -> Scenario:
    """Return the script of `vmware-1556`: a hypervisor says where the station address is.

    In mode unicast that is the VMAC; the host sees nothing of the frame (VMware KB 1556).
    """
    victim = victim_of(topology)
    return Scenario(
        name="vmware-1556",
        summary="a hypervisor sends RARP for a host's station address, which is the cluster's",
        topology=topology,
        setup=Setup(mode=Mode.UNICAST),
        steps=(
            *_begun(topology),
            SendFrom(victim, Leaked.RARP, Way.UNDER, label="leak"),
            Wait(1.5),
            *_over(topology),
        ),
        expects=(
            *_goes_on(topology),
            *_relayed(topology, victim),
            Tells(victim, ("below this host",), "leak", TOLD_S),
        ),
    )


def leak_on_join(topology: Topology) -> Scenario:
    """Return the script of `leak-on-join`: a card sends from the VMAC as its host joins."""
    victim = victim_of(topology)
    return Scenario(
        name="leak-on-join",
        summary="a host begins, and its card sends from the cluster's MAC at that moment",
        topology=topology,
        setup=Setup(mode=Mode.UNICAST),
        steps=(
            Do(Deed.END, victim),
            *_begun(topology),
            SendFrom(victim, way=Way.BELOW, count=100, interval_s=_INTERVAL_S, label="leak"),
            Wait(TOLD_S),
            Do(Deed.BEGIN, victim, "begun"),
            Wait(1.0),
            StopSending(victim, "the leak ends"),
            *_over(topology),
        ),
        expects=(
            # Where no agent is no filter is, and what is kept there is nobody's service.
            *(each for each in _goes_on(topology) if each is not Holds.KEPT_ONCE),
            Holds.COUNTED_ONCE,
            Learned(victim, "leak", until="begun"),
            # Whoever takes no part yet is a stranger to the others.
            Names(Finding.STRANGER, None, "leak", TOLD_S, until="begun"),
            Tells(names_of(topology)[0], ("sighting", "0x88b5", "received"), "leak", TOLD_S),
        ),
    )


def tree(topology: Topology) -> Scenario:
    """Return the script of `tree`: of three switches one learns, and others go on to flood.

    The first host and the first client sit at the same switch: what is between them no other sees.
    """
    wide = replace(topology, shape=Shape.TREE)
    leaker, to = wide.hosts[0].name, wide.clients[0].name
    leak = SendFrom(leaker, Leaked.UNICAST, Way.BELOW, to=to, label="leak")
    return Scenario(
        name="tree",
        summary="one switch of three learns the cluster's MAC: some frames still reach everybody",
        topology=wide,
        setup=Setup(mode=Mode.UNICAST),
        steps=(*_begun(wide), leak, Wait(1.5), *_over(wide)),
        expects=(*_goes_on(wide), *_relayed(wide, leaker, Finding.PARTLY_CAPTURED)),
    )


def relay_edges(topology: Topology) -> Scenario:
    """Return the script of `relay-edges`: the VMAC moves from port to port while hosts relay.

    Two captures in turn; a host leaves and joins while another relays, so that buckets are flagged;
    and the entry ages out meanwhile.
    """
    victim = victim_of(topology)
    first, last = topology.hosts[0].name, topology.hosts[-1].name
    return Scenario(
        name="relay-edges",
        summary="the address is captured twice in turn, buckets move, and it ages out, all relayed",
        topology=topology,
        setup=Setup(mode=Mode.UNICAST),
        steps=(
            *_begun(topology),
            SendFrom(victim, way=Way.BELOW, label="leak"),
            Wait(0.7),
            SendFrom(last, way=Way.BELOW, label="second leak"),
            Wait(0.7),
            Do(Deed.DRAINSTOP, first),
            Wait(0.7),
            Do(Deed.START, first),
            Wait(1.0),
            *_over(topology),
        ),
        expects=(
            *_goes_on(topology),
            Holds.COUNTED_ONCE,
            Learned(victim, "leak", until="second leak"),
            Learned(last, "second leak", until="ageing"),
            Names(Finding.CAPTURED, victim, "leak", TOLD_S, until="second leak"),
        ),
    )


def no_flood(topology: Topology) -> Scenario:
    """Return the script of `no-flood`: hosts' ports get no unknown unicast (KB 247297).

    Nothing reaches any host, until one sends from the VMAC on purpose and relays.
    """
    blocking = replace(topology, shape=Shape.BLOCKING)
    return Scenario(
        name="no-flood",
        summary="the switch floods nothing to hosts' ports; one of them pulls and relays",
        topology=blocking,
        steps=(
            Wait(1.0, label="pulled"),
            *_begun(blocking),
            Wait(2.5),
            *ended(blocking),
            CloseConnections("lasting"),
        ),
        expects=(
            *CAPTURED,
            Learned(names_of(blocking)[0], "pulled"),
            *(Served(host, "pulled") for host in names_of(blocking)),
            Unbroken("lasting"),
            Names(Finding.BLOCKED, None, "", 0.0),
            TableExact(names_of(blocking)),
        ),
    )


def _begun(topology: Topology) -> tuple[Step, ...]:
    return (
        OpenConnections("lasting", PORT, _LASTING_COUNT),
        *aimed(topology, _ATTEMPT_S),
        Wait(0.4, 0.1),
    )


def _over(topology: Topology) -> tuple[Step, ...]:
    """Have switches forget, and see that everything is as it was."""
    return (
        SetAgeing(AGEING_S, "ageing"),
        Wait(AGEING_S + _FLOODED_S),
        Wait(0.5, label="as before"),
        Wait(0.5),
        *ended(topology),
        CloseConnections("lasting"),
        Wait(FLAGS_S),
    )


def _goes_on(topology: Topology) -> tuple[Expects, ...]:
    """Return what holds wherever `_begun` and `_over` are: service goes on, whatever happens."""
    hosts = names_of(topology)
    return (
        *CAPTURED,
        Unbroken("lasting"),
        *(NoneBroken(host) for host in hosts),
        *(Served(host, "as before") for host in hosts),
        Names(Finding.HEALTHY, None, "ageing", AGEING_S + _FLOODED_S),
        TableExact(hosts),
        FlagsGone(),
    )


def _relayed(
    topology: Topology, captor: str, finding: Finding = Finding.CAPTURED
) -> tuple[Expects, ...]:
    """Return that a host's port got all frames, that it relayed, and that it was named."""
    others = tuple(host for host in names_of(topology) if host != captor)
    return (
        Learned(captor, "leak", until="ageing"),
        Relayed(others, captor, "leak", RELAY_MS_MAX, until="ageing"),
        Names(finding, captor, "leak", TOLD_S, until="ageing"),
    )
