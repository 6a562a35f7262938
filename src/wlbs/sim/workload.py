# SPDX-License-Identifier: Apache-2.0
"""What the clients of a world are asked to do: batches, attempts by the clock, long connections.

Knows which client opens what and when. Knows nothing of hosts, and judges nothing.
"""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from wlbs.core.address import IpAddress
from wlbs.scenario.draw import PlannedFlow
from wlbs.scenario.evidence import Attempt, Connection, Failure
from wlbs.sim.client import Asking, Client, Lasting
from wlbs.sim.schedule import NS_PER_S, Schedule

CONCURRENCY: Final = 6
"""Connections of a batch that a client has open at once, as browsers do for one server."""

FAILURE_COUNT_MAX: Final = 40
"""After so many failures the rest of a batch is not tried: the point is made."""

NOT_TRIED: Final = f"{Failure.OTHER}: not tried after so many failures"


class Workload:
    """All that the clients of one world do."""

    def __init__(self, schedule: Schedule, clients: Mapping[str, Client], vip: IpAddress) -> None:
        """Begin with nothing to do."""
        self.on_attempt: Callable[[Asking], None] = lambda _: None
        self._schedule = schedule
        self._clients = clients
        self._vip = vip
        self._asked: list[Asking] = []
        self._lasting: list[tuple[str, Lasting]] = []
        self._ended_batches: set[str] = set()

    def send(self, flows: tuple[PlannedFlow, ...]) -> Callable[[], bool]:
        """Begin a batch of connections; return what tells whether it is still under way."""
        batches = [
            Batch(self, deque(flow for flow in flows if flow.client == client))
            for client in self._clients
        ]
        for batch in batches:
            for _ in range(CONCURRENCY):
                batch.open_next()
        return lambda: any(batch.is_under_way for batch in batches)

    def ask(self, flow: PlannedFlow, on_end: Callable[[Asking], None]) -> None:
        """Open one connection."""
        asking = Asking(flow, int(self._schedule.now), lambda: self._end(asking, on_end))
        self._asked.append(asking)
        self._clients[flow.client].ask(self._vip, asking)

    def skip(self, flow: PlannedFlow) -> None:
        """Count a connection as failed without trying it."""
        asking = Asking(flow, int(self._schedule.now), lambda: self.on_attempt(asking))
        self._asked.append(asking)
        asking.end(NOT_TRIED)

    def begin_attempts(self, flows: tuple[PlannedFlow, ...], interval_s: float) -> None:
        """Open these connections by the clock, whatever becomes of each."""
        interval_ns = round(interval_s * NS_PER_S)
        for index, flow in enumerate(flows):
            self._schedule.after(index * interval_ns, lambda flow=flow: self._attempt(flow))  # type: ignore[misc]

    def end_attempts(self, batch: str) -> Callable[[], bool]:
        """Open no more of a batch; return what tells whether some are still under way."""
        self._ended_batches.add(batch)
        asked = [each for each in self._asked if each.flow.batch == batch]
        return lambda: any(not each.has_ended for each in asked)

    def open(self, flows: tuple[PlannedFlow, ...]) -> Callable[[], bool]:
        """Open long-lived connections; return what tells whether some are still being opened."""
        opened = [(flow.client, self._clients[flow.client].open(self._vip, flow)) for flow in flows]
        self._lasting += opened
        return lambda: any(not lasting.is_settled for _, lasting in opened)

    def close(self, batch: str, host: str | None) -> None:
        """Close long-lived connections of a batch, those to one host or all."""
        for client, lasting in self._lasting:
            if lasting.flow.batch == batch and host in {None, lasting.answered_by}:
                self._clients[client].close(self._vip, lasting)

    def vanish(self, batch: str) -> Callable[[], bool]:
        """Have long-lived connections forgotten as they are idle; tell whether some are not yet."""
        left = [pair for pair in self._lasting if pair[1].flow.batch == batch and pair[1].is_open]

        def is_under_way() -> bool:
            for client, lasting in [pair for pair in left if pair[1].is_idle]:
                self._clients[client].vanish(self._vip, lasting)
                left.remove((client, lasting))
            return any(lasting.is_open for _, lasting in left)

        return is_under_way

    def attempts(self, origin_ns: int) -> tuple[Attempt, ...]:
        """Return every attempt as evidence."""
        return tuple(each.outcome(origin_ns) for each in self._asked)

    def connections(self, origin_ns: int) -> tuple[Connection, ...]:
        """Return every long-lived connection as evidence."""
        return tuple(each.outcome(origin_ns) for _, each in self._lasting)

    def _attempt(self, flow: PlannedFlow) -> None:
        if flow.batch not in self._ended_batches:
            self.ask(flow, lambda _: None)

    def _end(self, asking: Asking, on_end: Callable[[Asking], None]) -> None:
        self.on_attempt(asking)
        on_end(asking)


class Batch:
    """One client's part of a batch: a few connections at once, until all were tried."""

    def __init__(self, workload: Workload, flows: deque[PlannedFlow]) -> None:
        """Know what is to be opened."""
        self._workload = workload
        self._flows = flows
        self._open_count = 0
        self._failure_count = 0

    @property
    def is_under_way(self) -> bool:
        """Whether something is open or still to be opened."""
        return bool(self._open_count or self._flows)

    def open_next(self) -> None:
        """Open the next connection, or count the rest as not tried."""
        while self._flows:
            flow = self._flows.popleft()
            if self._failure_count < FAILURE_COUNT_MAX:
                self._open_count += 1
                self._workload.ask(flow, self._ended)
                return
            self._workload.skip(flow)

    def _ended(self, asking: Asking) -> None:
        self._open_count -= 1
        self._failure_count += asking.answered_by is None
        self.open_next()
