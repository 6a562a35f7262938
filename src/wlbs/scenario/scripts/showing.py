# SPDX-License-Identifier: Apache-2.0
"""The story of KB Q258609 in three runs, short enough to watch: `wlbs demo` plays them.

As it was on Windows NT 4.0, as it is when hosts heal, and as it is where no device has the VMAC.
The same monitor is started each time; what it does to the switch follows from the interface that
it finds.
"""

from typing import Final

from wlbs.core.cluster import Mode
from wlbs.core.protocol.diagnosing import Finding
from wlbs.scenario.expectations import (
    Announced,
    CutOff,
    Forgotten,
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
    KIND,
    LEAKER,
    RELAY_MS_MAX,
    SETTLED_S,
    TOLD_S,
    aimed,
    ended,
    others_of,
)
from wlbs.scenario.scripts.parts import ALWAYS, PORT, names_of, victim_of
from wlbs.scenario.setup import Setup
from wlbs.scenario.steps import (
    CloseConnections,
    Leaked,
    OpenConnections,
    Scenario,
    SendFrom,
    SetAgeing,
    SetCarrier,
    Step,
    StopSending,
    Wait,
    Way,
)
from wlbs.scenario.topology import Topology

BEGUN: Final = "begun"
HEALTHY: Final = "healthy"
"""When there was enough to see of a cluster to which nothing has happened."""
ANNOUNCED: Final = "announced"
REBOOTING: Final = "rebooting"
REBOOTED: Final = "rebooted"
AGEING: Final = "ageing"

_ATTEMPT_S: Final = 0.02
_LASTING_COUNT: Final = 60
_LOOK_S: Final = 2.0
"""How long a person needs to see that something has become different."""
_OUTAGE_S: Final = 4.0
"""Longer than the patience of a client: three SYNs in 3.5 s."""
_BOOT_S: Final = 0.5
"""A host that is down is gone for more than the detection time."""
_CURED_S: Final = 0.5


def show_nt4(topology: Topology) -> Scenario:
    """Return the script of `show-nt4`: all but one host are cut off, until that one reboots."""
    victim, hosts = victim_of(topology), names_of(topology)
    return Scenario(
        name="show-nt4",
        summary="the demo's first part: a monitor below the guard cuts hosts off; a reboot cures",
        topology=topology,
        setup=Setup(mode=Mode.UNICAST, healing=frozenset()),
        steps=(
            *_watched(topology),
            _monitor(topology),
            Wait(_OUTAGE_S),
            StopSending(victim),
            SetCarrier(victim, up=False, label=REBOOTING),
            Wait(_BOOT_S),
            SetCarrier(victim, up=True, label=REBOOTED),
            Wait(SETTLED_S + 1.0),
            *ended(topology),
        ),
        expects=(
            *CAPTURED,
            Forgotten(BEGUN, 0.0, until=HEALTHY),
            *(Served(host, BEGUN, until=HEALTHY) for host in hosts),
            Announced(victim, ANNOUNCED, from_vmac=True),
            Learned(victim, ANNOUNCED, until=REBOOTING),
            Served(victim, ANNOUNCED, until=REBOOTING),
            *(CutOff(host, ANNOUNCED, REBOOTING, _CURED_S) for host in others_of(topology)),
            Names(Finding.CAPTURED, victim, ANNOUNCED, TOLD_S, until=REBOOTING),
            Forgotten(REBOOTING, _BOOT_S / 2),
            *(Served(host, REBOOTED, SETTLED_S) for host in hosts),
            TableExact(hosts),
        ),
    )


def show_heal(topology: Topology) -> Scenario:
    """Return the script of `show-heal`: the same, and the host that gets everything relays."""
    victim, hosts = victim_of(topology), names_of(topology)
    return Scenario(
        name="show-heal",
        summary="the demo's second part: the same, but hosts notice, relay and name the program",
        topology=topology,
        setup=Setup(mode=Mode.UNICAST),
        steps=(
            OpenConnections("lasting", PORT, _LASTING_COUNT),
            *_watched(topology),
            _monitor(topology),
            Wait(_LOOK_S),
            SetAgeing(AGEING_S, AGEING),
            Wait(AGEING_S + 2.5),
            *ended(topology),
            CloseConnections("lasting"),
        ),
        expects=(
            *CAPTURED,
            Announced(victim, ANNOUNCED, from_vmac=True),
            Learned(victim, ANNOUNCED, until=AGEING),
            Relayed(others_of(topology), victim, ANNOUNCED, RELAY_MS_MAX),
            *(NoneBroken(host) for host in hosts),
            Served(victim, ANNOUNCED),
            Unbroken("lasting"),
            Names(Finding.CAPTURED, victim, ANNOUNCED, TOLD_S),
            Tells(others_of(topology)[0], KIND, ANNOUNCED, TOLD_S),
            Tells(victim, LEAKER, ANNOUNCED, TOLD_S),
            Forgotten(AGEING, AGEING_S + 1.0),
            *(Served(host, AGEING, AGEING_S + 2.0) for host in hosts),
            TableExact(hosts),
        ),
    )


def show_stealth(topology: Topology) -> Scenario:
    """Return the script of `show-stealth`: the same, and there is nothing for it to give away."""
    victim, hosts = victim_of(topology), names_of(topology)
    return Scenario(
        name="show-stealth",
        summary="the demo's third part: where no device has the MAC, the same monitor is harmless",
        topology=topology,
        steps=(*_watched(topology), _monitor(topology), Wait(_LOOK_S), *ended(topology)),
        expects=(
            *ALWAYS,
            Announced(victim, ANNOUNCED, from_vmac=False),
            *(Served(host, ANNOUNCED) for host in hosts),
            *(NoneBroken(host) for host in hosts),
            TableExact(hosts),
        ),
    )


def _watched(topology: Topology) -> tuple[Step, ...]:
    """Have clients come to every host, and let it be seen that all are served."""
    return (*aimed(topology, _ATTEMPT_S), Wait(0.3, label=BEGUN), Wait(1.5, 0.1, label=HEALTHY))


def _monitor(topology: Topology) -> Step:
    """Start a monitor below the guard; it tells the segment of itself once, and stays."""
    what, way = Leaked.ANNOUNCEMENT, Way.BELOW
    return SendFrom(victim_of(topology), what, way, label=ANNOUNCED, as_device=True)
