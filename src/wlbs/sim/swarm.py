# SPDX-License-Identifier: Apache-2.0
"""Scenarios that nobody wrote: faults and deeds drawn from a seed, then peace, then judgement.

Safety is watched all along; when everything has been healed, resumed and started again, the hosts
must come to one exact table by themselves. Knows which deed is possible when; nothing of what the
hosts make of it.
"""

from collections.abc import Callable, Iterator
from typing import Final

from wlbs.scenario.expectations import FlagsGone, Holds, NoneBroken, TableExact
from wlbs.scenario.steps import (
    BeginAttempts,
    Cut,
    Deed,
    Do,
    EndAttempts,
    Heal,
    Occupy,
    Scenario,
    SendFlows,
    SetCarrier,
    Spread,
    Step,
    Traffic,
    Wait,
)
from wlbs.scenario.topology import Topology
from wlbs.sim.prng import Prng

FAULT_COUNT: Final = 14
"""Enough for faults to overlap and to follow on each other's heels; a run stays below 20 s."""

PAUSE_MS_MAX: Final = 700
"""More than two detection times: some faults are waited out, some are met half-way."""

PEACE_S: Final = 8.0
"""A join takes 0.4 s, and a flag is gone when no old connection is left and a second has passed;
connections that were half open when their host lost its clients take up to six."""

_SERVER_PORT: Final = 80

_UNDONE_BY: Final = {
    Deed.STALL: Deed.RESUME,
    Deed.KILL: Deed.BEGIN,
    Deed.END: Deed.BEGIN,
    Deed.STOP: Deed.START,
    Deed.DRAINSTOP: Deed.START,
}


def drawn_scenario(seed: int, topology: Topology) -> Scenario:
    """Return the scenario of this seed."""
    faults = _Faults(Prng(seed, "swarm"), topology)
    return Scenario(
        name=f"swarm-{seed}",
        summary="faults and deeds that a seed has drawn, then peace",
        topology=topology,
        steps=(
            BeginAttempts("new", _SERVER_PORT, 0.02),
            *faults.drawn(),
            EndAttempts("new"),
            *faults.undone(),
            Wait(PEACE_S),
            SendFlows("after", _SERVER_PORT, 60, Spread.PORTS),
            Wait(PEACE_S),
        ),
        expects=(
            Holds.VMAC_UNLEARNED,
            Holds.VMAC_UNSENT,
            NoneBroken("after"),
            TableExact(tuple(host.name for host in topology.hosts)),
            FlagsGone(),
        ),
    )


class _Faults:
    """What has been done to each host, and what can still be done."""

    def __init__(self, prng: Prng, topology: Topology) -> None:
        """Begin with nothing done."""
        self._prng = prng
        self._hosts = [host.name for host in topology.hosts]
        self._done: dict[str, Deed] = {}
        self._unplugged: set[str] = set()

    def drawn(self) -> Iterator[Step]:
        """Yield faults, and pauses between them."""
        kinds: tuple[Callable[[str], Step], ...] = (
            self._deed,
            self._deed,
            self._deed,
            self._carrier,
            self._cut,
            self._cut,
            lambda _: Heal(),
            lambda _: Occupy(busy=self._prng.happens(500_000)),
        )
        for _ in range(FAULT_COUNT):
            host = self._hosts[self._prng.between(0, len(self._hosts) - 1)]
            yield kinds[self._prng.between(0, len(kinds) - 1)](host)
            yield Wait(self._prng.between(0, PAUSE_MS_MAX) / 1000)

    def undone(self) -> Iterator[Step]:
        """Yield what makes everything good again."""
        yield Heal()
        yield Occupy(busy=False)
        for host in self._hosts:
            if host in self._unplugged:
                yield SetCarrier(host, up=True)
            if host in self._done:
                yield Do(_UNDONE_BY[self._done[host]], host)

    def _deed(self, host: str) -> Step:
        """Undo what was done to a host, or do something else."""
        done = self._done.pop(host, None)
        if done is not None:
            return Do(_UNDONE_BY[done], host)
        deeds = tuple(_UNDONE_BY)
        self._done[host] = deeds[self._prng.between(0, len(deeds) - 1)]
        return Do(self._done[host], host)

    def _carrier(self, host: str) -> Step:
        self._unplugged ^= {host}
        return SetCarrier(host, up=host not in self._unplugged)

    def _cut(self, host: str) -> Step:
        others = [None, *self._hosts]
        other = others[self._prng.between(0, len(others) - 1)]
        kinds = tuple(Traffic)
        traffic = kinds[self._prng.between(0, len(kinds) - 1)]
        if self._prng.happens(500_000):
            return Cut(host, other, traffic)
        return Cut(other, host, traffic)
