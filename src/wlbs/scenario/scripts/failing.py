# SPDX-License-Identifier: Apache-2.0
"""Hosts that fail without a word: dead, deaf and dumb, stalled, or with their agent killed."""

from typing import Final

from wlbs.scenario.expectations import (
    FlagsGone,
    Holds,
    LeaseMargin,
    NoneBroken,
    TableExact,
    TakenOver,
    Unbroken,
)
from wlbs.scenario.scripts.parts import ALWAYS, FLAGS_S, HEARTBEAT_S, PORT, names_of, victim_of
from wlbs.scenario.steps import (
    BeginAttempts,
    CloseConnections,
    Cut,
    Deed,
    Do,
    EndAttempts,
    Heal,
    Occupy,
    OpenConnections,
    Scenario,
    SendFlows,
    SetCarrier,
    Spread,
    Step,
    Wait,
)
from wlbs.scenario.topology import Topology

GAP_MS_MAX: Final = 400
"""Detection takes 300 ms at most; the rest is for taking over, with a processor that is busy."""

ATTEMPT_S: Final = 0.005
"""An attempt every 5 ms measures a gap to 5 ms."""

COME_BACK_S: Final = 3.0
"""Ample for a host that is heard again: it listens for one detection time, then asks."""

_STALL_S: Final = 5.0


def crash(topology: Topology) -> Scenario:
    """Return the script of `crash`: all of a host's frames are lost, its carrier stays up."""
    victim = victim_of(topology)
    cut: tuple[Step, ...] = (Cut(victim, None, label="lost"), Cut(None, victim))
    summary = "a host dies; the others take its share over and give it back"
    return _crash("crash", summary, topology, (cut, (Heal(),)))


def crash_carrier(topology: Topology) -> Scenario:
    """Return the script of `crash-carrier`: a host's cable is pulled."""
    victim = victim_of(topology)
    pulled = (SetCarrier(victim, up=False, label="lost"),)
    return _crash(
        "crash-carrier",
        "a host's cable is pulled; the others take its share over and give it back",
        topology,
        (pulled, (SetCarrier(victim, up=True),)),
    )


def crash_busy(topology: Topology) -> Scenario:
    """Return the script of `crash-busy`: the same while other programs want every processor."""
    victim = victim_of(topology)
    cut: tuple[Step, ...] = (Cut(victim, None, label="lost"), Cut(None, victim))
    return _crash(
        "crash-busy",
        "a host dies while other programs keep every processor busy",
        topology,
        ((Occupy(busy=True), Wait(1.0, HEARTBEAT_S), *cut), (Occupy(busy=False), Heal())),
    )


def _crash(
    name: str,
    summary: str,
    topology: Topology,
    fault: tuple[tuple[Step, ...], tuple[Step, ...]],
) -> Scenario:
    victim, (loss, return_) = victim_of(topology), fault
    return Scenario(
        name=name,
        summary=summary,
        topology=topology,
        steps=(
            OpenConnections("lasting", PORT, 60),
            BeginAttempts("aimed", PORT, ATTEMPT_S, aimed_at=victim),
            Wait(1.0, HEARTBEAT_S),
            *loss,
            Wait(2.0),
            EndAttempts("aimed"),
            # Away for longer than a host that answers nothing is waited for: back again, it must
            # not take what lives on elsewhere for gone.
            Wait(2.0),
            *return_,
            Wait(COME_BACK_S),
            SendFlows("after", PORT, 60, Spread.PORTS),
            CloseConnections("lasting"),
            Wait(FLAGS_S),
        ),
        expects=(
            *ALWAYS,
            TakenOver("aimed", "lost", GAP_MS_MAX),
            Unbroken("lasting", lost_host=victim),
            NoneBroken("after"),
            TableExact(names_of(topology)),
            FlagsGone(),
        ),
    )


def stall(topology: Topology) -> Scenario:
    """Return the script of `stall`: an agent stands still, its data path does not."""
    victim = victim_of(topology)
    return _stall(
        "stall",
        "an agent stands still for seconds; its lease has run out before others keep its flows",
        topology,
        (Do(Deed.STALL, victim, "stalled"), Wait(_STALL_S), Do(Deed.RESUME, victim, "resumed")),
    )


def stall_swap(topology: Topology) -> Scenario:
    """Return the script of `stall-swap`: the agent stands still while tables are being swapped."""
    victim, other = victim_of(topology), topology.hosts[-1].name
    return _stall(
        "stall-swap",
        "an agent stands still just as another host leaves and tables are swapped",
        topology,
        (
            Do(Deed.STOP, other, "left"),
            Do(Deed.STALL, victim, "stalled"),
            Wait(_STALL_S),
            Do(Deed.RESUME, victim, "resumed"),
            Do(Deed.START, other),
        ),
        lost_host=other,
    )


def stall_kill(topology: Topology) -> Scenario:
    """Return the script of `stall-kill`: the agent is killed, and a new one takes over."""
    victim = victim_of(topology)
    return _stall(
        "stall-kill",
        "an agent is killed and begins again; its connections outlive it",
        topology,
        (Do(Deed.KILL, victim, "stalled"), Wait(_STALL_S), Do(Deed.BEGIN, victim, "resumed")),
    )


def _stall(
    name: str,
    summary: str,
    topology: Topology,
    fault: tuple[Step, ...],
    lost_host: str | None = None,
) -> Scenario:
    victim = victim_of(topology)
    no_reset = () if lost_host else (Holds.NO_RESET,)
    return Scenario(
        name=name,
        summary=summary,
        topology=topology,
        steps=(
            OpenConnections("lasting", PORT, 60),
            BeginAttempts("aimed", PORT, ATTEMPT_S, aimed_at=victim),
            Wait(1.0, HEARTBEAT_S),
            *fault,
            Wait(COME_BACK_S),
            EndAttempts("aimed"),
            SendFlows("after", PORT, 60, Spread.PORTS),
            CloseConnections("lasting"),
            Wait(FLAGS_S),
        ),
        expects=(
            *ALWAYS,
            *no_reset,
            LeaseMargin(victim, "stalled", until="resumed"),
            Unbroken("lasting", lost_host),
            NoneBroken("aimed"),
            NoneBroken("after"),
            TableExact(names_of(topology)),
            FlagsGone(),
        ),
    )
