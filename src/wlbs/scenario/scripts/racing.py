# SPDX-License-Identifier: Apache-2.0
"""Hand-overs that meet connections half-way: two hosts know the same flow, and one may speak."""

from typing import Final

from wlbs.core.reason import Reason
from wlbs.scenario.expectations import (
    Expects,
    FinishedLate,
    FlagsGone,
    Follows,
    Holds,
    KeptAs,
    LeaseMargin,
    NoneBroken,
    OpenedTwice,
    TableExact,
    Unbroken,
)
from wlbs.scenario.scripts.parts import ALWAYS, FLAGS_S, HEARTBEAT_S, PORT, names_of, victim_of
from wlbs.scenario.steps import (
    AwaitHolders,
    BeginAttempts,
    CloseConnections,
    Cut,
    Deed,
    Do,
    EndAttempts,
    Heal,
    OpenConnections,
    Scenario,
    SendAgain,
    SendCookies,
    SendFlows,
    Spread,
    Step,
    Traffic,
    Vanish,
    Wait,
)
from wlbs.scenario.topology import Topology

_LASTING_COUNT: Final = 300
_PAIR_COUNT: Final = 24
"""Port pairs that come back: one for most pairs of groups and hosts, at little cost."""

_ATTEMPT_S: Final = 0.02
_BURST_S: Final = 0.01

_HALFWAY_S: Final = 0.15
"""So many flows are half-way when buckets move; their first questions are then sent again soon."""

_MOVED_S_MAX: Final = 4.0
"""A hand-over takes milliseconds; the operator's command, on a busy machine, takes the rest."""

_RETRIED_S: Final = 1.2
"""A SYN whose answer was lost is sent again after a second (RFC 6298, 2.1)."""

_REPEATED_S: Final = 0.5
"""A lost question is sent again after 0.2 s, then after twice that: Linux's least timeout."""

_STALL_S: Final = 1.0
"""Others have taken over after 0.3 s; the rest is for what they keep then."""

_MOVES_S: Final = 2.0
"""Within this a bucket has come to another host, and on from there."""

_LATE: Final = Traffic.ANSWERS


def handover_races(topology: Topology) -> Scenario:
    """Return the script of `handover-races`.

    Buckets of one host move again and again while their connections are half-way. In a world whose
    hosts share one kernel a cookie would be good at any of them, which it never is at another
    machine: `SendCookies` sees to it that only its sender knows it.
    """
    victim, hosts = victim_of(topology), names_of(topology)
    return Scenario(
        name="handover-races",
        summary="buckets move while two hosts know the same flow, and only one may speak",
        topology=topology,
        steps=(
            OpenConnections("lasting", PORT, _LASTING_COUNT),
            *_halfway(topology),
            *_burst(topology),
            *_stall(topology),
            *_moves(topology),
            CloseConnections("lasting", label="the last has closed"),
            AwaitHolders(hosts, FLAGS_S, "no flag is left", unflagged=True),
        ),
        expects=(
            *ALWAYS,
            Holds.KEPT_ONCE,
            Holds.COUNTED_ONCE,
            Holds.NO_HOST_RESET,
            *(NoneBroken(batch) for batch in _BATCHES),
            Unbroken("lasting"),
            OpenedTwice("races"),
            FinishedLate("races", victim, "moved"),
            FinishedLate("burst", victim, "the burst has moved"),
            KeptAs(victim, Reason.CLAIMED),
            KeptAs(victim, Reason.COOKIE),
            LeaseMargin(victim, "stalled", until="resumed"),
            *_timely(topology),
            Follows("the last has closed", "no flag is left", FLAGS_S, figure="flags_ms"),
            TableExact(hosts),
            FlagsGone(),
        ),
    )


_BATCHES: Final = (
    "once",
    "races",
    "once elsewhere",
    "stale elsewhere",
    "once at home",
    "stale at home",
    "burst",
    "aimed",
    "moves",
)


def _halfway(topology: Topology) -> tuple[Step, ...]:
    """Move buckets whose SYN-ACKs are lost or not yet acknowledged; then their port pairs return.

    Of what is opened meanwhile, one client gets no answer and asks the next holder; the answers of
    another come late and belong to the previous one. That host also remembers connections: those
    it has closed, and some that it still believes in.
    """
    victim, hosts = victim_of(topology), names_of(topology)
    deaf, slow = topology.clients[0].name, topology.clients[-1].name
    others = _others(topology)
    return (
        SendFlows("once", PORT, _PAIR_COUNT, Spread.PORTS, aimed_at=victim),
        OpenConnections("stale", PORT, _PAIR_COUNT, aimed_at=victim),
        Vanish("stale"),
        BeginAttempts("races", PORT, _ATTEMPT_S, aimed_at=victim),
        Wait(0.2, HEARTBEAT_S),
        Cut(victim, deaf),
        Cut(slow, victim, _LATE),
        Wait(_HALFWAY_S),
        Do(Deed.DRAINSTOP, victim),
        AwaitHolders(others, _MOVED_S_MAX, "moved"),
        Heal(),
        Wait(_RETRIED_S),
        EndAttempts("races"),
        SendAgain("once elsewhere", of="once"),
        SendAgain("stale elsewhere", of="stale"),
        Do(Deed.START, victim),
        AwaitHolders(hosts, _MOVED_S_MAX),
        SendAgain("once at home", of="once"),
        # Here the SYN meets the connection it is the end of: challenged, reset, sent again.
        SendAgain("stale at home", of="stale"),
    )


def _burst(topology: Topology) -> tuple[Step, ...]:
    """Move buckets while SYN cookies are out: only who sent one can tell that it is good."""
    victim, hosts = victim_of(topology), names_of(topology)
    others = _others(topology)
    return (
        SendCookies(victim),
        BeginAttempts("burst", PORT, _BURST_S, aimed_at=victim),
        Wait(0.2, HEARTBEAT_S),
        Cut(topology.clients[-1].name, victim, _LATE),
        Wait(_HALFWAY_S),
        Do(Deed.DRAINSTOP, victim),
        AwaitHolders(others, _MOVED_S_MAX, "the burst has moved"),
        Heal(),
        Wait(_REPEATED_S),
        EndAttempts("burst"),
        SendCookies(None),
        Do(Deed.START, victim),
        AwaitHolders(hosts, _MOVED_S_MAX),
    )


def _stall(topology: Topology) -> tuple[Step, ...]:
    """Move buckets away from a host that cannot say that it has let go, and back."""
    victim = victim_of(topology)
    return (
        BeginAttempts("aimed", PORT, _BURST_S, aimed_at=victim),
        Wait(0.5, HEARTBEAT_S),
        Do(Deed.STALL, victim, "stalled"),
        Wait(_STALL_S),
        Do(Deed.RESUME, victim, "resumed"),
        AwaitHolders(names_of(topology), _MOVED_S_MAX),
        EndAttempts("aimed"),
    )


def _moves(topology: Topology) -> tuple[Step, ...]:
    """Move buckets there and back, and with a third host on to it, as fast as operators can."""
    victim, hosts = victim_of(topology), names_of(topology)
    others = _others(topology)
    first, rest = others[:1], others[1:]
    on_and_on: tuple[Step, ...] = (
        *(Do(Deed.DRAINSTOP, host) for host in first),
        AwaitHolders((victim, *rest), _MOVED_S_MAX, "has gone on"),
        Do(Deed.DRAINSTOP, victim),
        AwaitHolders(rest, _MOVED_S_MAX, "has gone further"),
        *(Do(Deed.START, host) for host in (*first, victim)),
        AwaitHolders(hosts, _MOVED_S_MAX),
    )
    return (
        BeginAttempts("moves", PORT, _ATTEMPT_S),
        Do(Deed.DRAINSTOP, victim),
        AwaitHolders(others, _MOVED_S_MAX, "is gone"),
        Do(Deed.START, victim),
        AwaitHolders(hosts, _MOVED_S_MAX, "is back"),
        *(on_and_on if rest else ()),
        EndAttempts("moves"),
    )


def _timely(topology: Topology) -> tuple[Expects, ...]:
    there_and_back = Follows("is gone", "is back", _MOVES_S, figure="there_and_back_ms")
    on_and_on = Follows("has gone on", "has gone further", _MOVES_S, figure="on_and_on_ms")
    is_chain = len(_others(topology)) > 1
    return (there_and_back, on_and_on) if is_chain else (there_and_back,)


def _others(topology: Topology) -> tuple[str, ...]:
    """Return all hosts but the one to which things happen."""
    return tuple(host for host in names_of(topology) if host != victim_of(topology))
