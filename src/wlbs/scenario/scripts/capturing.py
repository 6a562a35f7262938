# SPDX-License-Identifier: Apache-2.0
"""A switch learns the VMAC because a host sends from it, as in KB Q258609.

First as it was on Windows NT 4.0, then as it was on Windows 2000, then as it is here.
"""

from typing import Final

from wlbs.core.cluster import Mode
from wlbs.core.protocol.diagnosing import Finding
from wlbs.scenario.expectations import (
    ArrivesMasked,
    Expects,
    FlagsGone,
    Forgotten,
    Holds,
    Learned,
    Names,
    NoneBroken,
    Relayed,
    Served,
    TableExact,
    Tells,
    Unbroken,
    Unserved,
)
from wlbs.scenario.leaking import PROGRAM
from wlbs.scenario.scripts.parts import ALWAYS, FLAGS_S, PORT, names_of, victim_of
from wlbs.scenario.setup import Setup
from wlbs.scenario.steps import (
    BeginAttempts,
    CloseConnections,
    EndAttempts,
    Leaked,
    OpenConnections,
    Scenario,
    SendFrom,
    SetAgeing,
    SetCarrier,
    Step,
    Wait,
    Way,
)
from wlbs.scenario.topology import Topology

RELAY_MS_MAX: Final = 300
"""From a capture to full service (the project's aim): two detection rounds and one hand-shake."""

TOLD_S: Final = 1.0
"""How soon an agent has told its operator: a finding is told once it has lasted."""

CAPTURED: Final = (
    Holds.CAPTURES_COMPLETE,
    Holds.NEVER_TWO_OWNERS,
    Holds.KEPT_ONCE,
    Holds.SENT_THRICE,
)
"""What holds also while a switch has learned the VMAC."""

AGEING_S: Final = 1.0
"""As short as a switch's ageing time gets: the entry of one leak is gone in a second."""

_ATTEMPT_S: Final = 0.02
_FINE_S: Final = 0.005
"""An attempt every 5 ms at each host measures to 5 ms."""

SETTLED_S: Final = 1.5
"""A host whose carrier has come back listens for 0.3 s, asks, and all have agreed by then."""

_DOWN_S: Final = 0.2
"""How long a link is down when somebody pulls the cable and plugs it in again."""

_ANNOUNCED: Final = Leaked.ANNOUNCEMENT
KIND: Final = (Finding.CAPTURED, "LLC AA/AA SNAP")
"""What whoever receives such a frame says of it."""
LEAKER: Final = (f"{PROGRAM} (process", "past the guard")
"""What a host says of a program of its own: that it has sent so, or where nobody saw it, could."""


def aimed(topology: Topology, interval_s: float) -> tuple[Step, ...]:
    """Begin attempts at every host, each batch by the host's name."""
    return tuple(
        BeginAttempts(host, PORT, interval_s, aimed_at=host) for host in names_of(topology)
    )


def ended(topology: Topology) -> tuple[Step, ...]:
    """End them."""
    return tuple(EndAttempts(host) for host in names_of(topology))


def others_of(topology: Topology) -> tuple[str, ...]:
    """Return all hosts but the one to which things happen."""
    return tuple(host for host in names_of(topology) if host != victim_of(topology))


def q258609_nt4(topology: Topology) -> Scenario:
    """Return the script of `q258609-nt4`: one announcement, and all but one host are cut off."""
    victim, hosts = victim_of(topology), names_of(topology)
    leak = (victim, _ANNOUNCED, Way.BELOW)
    return Scenario(
        name="q258609-nt4",
        summary="Network Monitor below the guard: the switch learns the MAC, one host gets all",
        topology=topology,
        setup=Setup(mode=Mode.UNICAST, healing=frozenset()),
        steps=(
            *aimed(topology, _ATTEMPT_S),
            Wait(0.5),
            SendFrom(*leak, label="leak"),
            Wait(1.0),
            SetCarrier(victim, up=False, label="link down"),
            Wait(_DOWN_S),
            SetCarrier(victim, up=True, label="link up"),
            Wait(SETTLED_S + 1.0),
            SendFrom(*leak, label="leak again"),
            Wait(1.0),
            SetAgeing(AGEING_S, "ageing"),
            Wait(AGEING_S + 2.0),
            *ended(topology),
        ),
        expects=(
            *CAPTURED,
            Learned(victim, "leak", until="link down"),
            Learned(victim, "leak again", until="ageing"),
            *_cut_off(topology, "leak", "link down"),
            *_cut_off(topology, "leak again", "ageing"),
            Names(Finding.CAPTURED, victim, "leak", TOLD_S, until="link down"),
            Forgotten("link down", _DOWN_S / 2, until="link up"),
            Forgotten("ageing", AGEING_S + 1.0),
            *(Served(host, "link up", SETTLED_S, until="leak again") for host in hosts),
            *(Served(host, "ageing", AGEING_S + 1.0) for host in hosts),
            TableExact(hosts),
        ),
    )


def _cut_off(topology: Topology, after: str, until: str) -> tuple[Expects, ...]:
    """Return that one host is served and all others are not."""
    return (
        Served(victim_of(topology), after, until=until),
        *(Unserved(host, after, until=until) for host in others_of(topology)),
    )


def q258609_w2k(topology: Topology) -> Scenario:
    """Return the script of `q258609-w2k`: the same sent through the guard changes nothing."""
    victim = victim_of(topology)
    return Scenario(
        name="q258609-w2k",
        summary="Network Monitor above the guard: what it sends is masked, and nothing happens",
        topology=topology,
        setup=Setup(mode=Mode.UNICAST, healing=frozenset()),
        steps=(
            *aimed(topology, _ATTEMPT_S),
            Wait(0.2),
            SendFrom(victim, _ANNOUNCED, count=10, label="announced"),
            Wait(2.0),
            *ended(topology),
        ),
        expects=(
            *ALWAYS,
            ArrivesMasked(victim),
            *(Served(host, "announced") for host in names_of(topology)),
        ),
    )


def q258609_heal(topology: Topology) -> Scenario:
    """Return the script of `q258609-heal`: one announcement, and the captor relays to all."""
    victim, hosts = victim_of(topology), names_of(topology)
    return Scenario(
        name="q258609-heal",
        summary="the switch learns the MAC; who has it relays, until the switch has forgotten",
        topology=topology,
        setup=Setup(mode=Mode.UNICAST),
        steps=(
            OpenConnections("lasting", PORT, 300),
            *(BeginAttempts(host, PORT, _FINE_S, aimed_at=host) for host in others_of(topology)),
            BeginAttempts(victim, PORT, _ATTEMPT_S, aimed_at=victim),
            Wait(0.5, 0.1),
            SendFrom(victim, _ANNOUNCED, Way.BELOW, label="leak"),
            Wait(2.0),
            SetAgeing(AGEING_S, "ageing"),
            Wait(AGEING_S + 2.5),
            *ended(topology),
            CloseConnections("lasting"),
            Wait(FLAGS_S),
        ),
        expects=(
            *CAPTURED,
            Learned(victim, "leak", until="ageing"),
            Relayed(others_of(topology), victim, "leak", RELAY_MS_MAX, until="ageing"),
            *(NoneBroken(host) for host in hosts),
            Served(victim, "leak"),
            Unbroken("lasting"),
            Names(Finding.CAPTURED, victim, "leak", TOLD_S),
            Tells(others_of(topology)[0], KIND, "leak", TOLD_S),
            Tells(victim, LEAKER, "leak", TOLD_S),
            Names(Finding.HEALTHY, None, "ageing", AGEING_S + 2.0),
            Forgotten("ageing", AGEING_S + 1.0),
            TableExact(hosts),
            FlagsGone(),
        ),
    )
