# SPDX-License-Identifier: Apache-2.0
"""Between the world and the member: makes events of what happens and does what effects say.

Owns one timer, the control socket and two signals. Decides nothing: `core.member` does.
"""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final, assert_never

from wlbs.agent.hosts import find_host
from wlbs.agent.logs import Log, words
from wlbs.control.messages import Answer, Done, Query, Refused, Request, Start, Stop
from wlbs.control.server import serve
from wlbs.core.cluster import Cluster
from wlbs.core.protocol.effects import (
    Effect,
    EndLease,
    HoldLease,
    InstallTable,
    Refuse,
    ReportMembership,
    ReportState,
)
from wlbs.core.protocol.events import Event, StartRequested, StopRequested, TimerFired
from wlbs.core.protocol.member import Member
from wlbs.core.protocol.status import snapshot
from wlbs.core.rules import HostIndex
from wlbs.datapath.loader import Datapath
from wlbs.linux.clock import now

SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGINT})

_NS_PER_S: Final = 1_000_000_000


class Driver:
    """One member in the world."""

    def __init__(self, cluster: Cluster, member: Member, datapath: Datapath, log: Log) -> None:
        """Take the parts; nothing happens before `run`."""
        self._cluster = cluster
        self._member = member
        self._datapath = datapath
        self._log = log
        self._own = member.table.own
        self._timer: asyncio.TimerHandle | None = None
        self._ended: asyncio.Future[None] | None = None

    async def run(self, socket: Path, on_serving: Callable[[], None]) -> None:
        """Serve until a signal says stop; the caller blocks the signals before and after."""
        loop = asyncio.get_running_loop()
        self._ended = loop.create_future()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._end, None)
        try:
            async with serve(socket, self.respond):
                self._take(StartRequested(self._own))
                on_serving()
                signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
                await self._ended
        finally:
            # Before the loop takes its handlers away: a second signal must not cut the undoing.
            signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
            self._take(StopRequested(self._own))

    def respond(self, request: Request) -> Answer:
        """Answer a request from the control socket."""
        match request:
            case Query():
                return self._done("")
            case Start(host):
                return self._command(host, StartRequested)
            case Stop(host):
                return self._command(host, StopRequested)
            case _:
                assert_never(request)

    def _command(self, word: str | None, event: Callable[[HostIndex], Event]) -> Answer:
        host = self._cluster.host(self._own) if word is None else find_host(self._cluster, word)
        if host is None:
            names = ", ".join(each.name for each in self._cluster.hosts)
            return Refused(f"the cluster has no host {word}; it has {names}")
        effects = self._take_or_end(event(host.index))
        for effect in effects:
            if isinstance(effect, Refuse):
                return Refused(effect.because)
        return self._done("; ".join(filter(None, map(words, effects))))

    def _done(self, said: str) -> Done:
        counters = {reason.name: count for reason, count in self._datapath.counters().items()}
        lease_live = self._datapath.lease_live()
        return Done(snapshot(self._cluster, self._member, counters, lease_live=lease_live), said)

    def _take(self, event: Event) -> tuple[Effect, ...]:
        effects = self._member.handle(event, now())
        for effect in effects:
            self._carry_out(effect)
            self._log.write(effect)
        self._arm()
        return effects

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case InstallTable(table):
                self._datapath.install(table)
            case HoldLease(until):
                self._datapath.hold_lease(until)
            case EndLease():
                self._datapath.end_lease()
            case ReportState() | ReportMembership() | Refuse():
                pass  # the log tells the operator, the answer whoever asked
            case _:
                assert_never(effect)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._member.deadline
        if deadline is not None:
            delay_s = max(0, deadline - now()) / _NS_PER_S
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._on_timer)

    def _on_timer(self) -> None:
        self._take_or_end(TimerFired())

    def _take_or_end(self, event: Event) -> tuple[Effect, ...]:
        """Take an event; if an effect fails, end the agent: half a change must not serve on."""
        try:
            return self._take(event)
        except Exception as error:  # noqa: BLE001 - the last resort: stop, undo, and say why
            self._end(error)
            return (Refuse(f"this agent failed and ends: {error}"),)

    def _end(self, error: Exception | None) -> None:
        assert self._ended is not None, "only `run` arms what leads here"
        if self._ended.done():
            return
        if error is None:
            self._ended.set_result(None)
        else:
            self._ended.set_exception(error)
