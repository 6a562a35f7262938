# SPDX-License-Identifier: Apache-2.0
"""A lab's clients: one program each, ordered about, their reports gathered.

Reports go to a file and are read from it, so that a client never waits for whoever reads. Knows
the orders and reports of `client`. Knows nothing of hosts.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any, Final

from wlbs.core.address import IpAddress
from wlbs.lab.command import inside
from wlbs.lab.names import LabNames
from wlbs.lab.wait import wait_until
from wlbs.linux.error import LinuxError
from wlbs.scenario.draw import PlannedFlow
from wlbs.scenario.evidence import Attempt, Connection
from wlbs.scenario.topology import Topology

ORDER_S_MAX: Final = 120.0
"""The slowest order there is: a batch of which every connection fails up to its limit."""

_LEAD_S: Final = 0.02
"""How far ahead attempts are planned, so that all clients have their order by then."""

AttemptHook = Callable[[Attempt], None]


class _Program:
    """One client's process, its orders and its reports."""

    def __init__(self, names: LabNames, client: str, vip: IpAddress) -> None:
        """Start it."""
        self.client = client
        self._log = names.state / f"client-{client}.log"
        self._path = names.state / f"client-{client}.reports"
        words = (sys.executable, "-m", "wlbs.lab.client", str(vip))
        with self._path.open("wb") as reports, self._log.open("wb") as errors:
            self._process = subprocess.Popen(
                inside(names.namespace(client), *words),
                stdin=subprocess.PIPE,
                stdout=reports,
                stderr=errors,
            )
        self._reports: IO[str] = self._path.open()
        self._rest = ""

    def order(self, words: dict[str, Any]) -> None:
        """Give an order."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{json.dumps(words)}\n".encode())
        self._process.stdin.flush()

    def read(self) -> Iterable[dict[str, Any]]:
        """Yield what it has reported since the last time; LinuxError if it has ended."""
        status = self._process.poll()
        if status is not None:
            raise LinuxError(
                what=f"client {self.client} ended with status {status}: {_last_line(self._log)}",
                remedy=f"read {self._log}",
            )
        *lines, self._rest = (self._rest + self._reports.read()).split("\n")
        return map(json.loads, lines)

    def end(self) -> None:
        """End it at once."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.kill()
        self._process.wait()
        self._reports.close()


class Clients:
    """All clients of a lab."""

    def __init__(self, names: LabNames, topology: Topology, on_attempt: AttemptHook) -> None:
        """Start one program for each client."""
        self._programs = {
            client.name: _Program(names, client.name, topology.vip) for client in topology.clients
        }
        self._on_attempt = on_attempt
        self._order_count = 0
        self._done: dict[int, int] = {}
        self._exhausted: set[str] = set()
        self._origin_s = 0.0
        self.attempts: list[Attempt] = []
        self.connections: list[Connection] = []

    def set_origin(self, origin_s: float) -> None:
        """Count all times from this one on (UNIX time)."""
        self._origin_s = origin_s

    def send(self, flows: tuple[PlannedFlow, ...]) -> None:
        """Have connections opened, one question in each; return when each has ended."""
        self._order_and_wait("send", flows)

    def open_connections(self, flows: tuple[PlannedFlow, ...]) -> None:
        """Have connections opened that last; return when each is open or has failed."""
        self._order_and_wait("open", flows)

    def close_connections(self, batch: str, host: str | None) -> None:
        """Have connections closed that last; return when they are."""
        self._wait(self._order_all({"order": "close", "batch": batch, "host": host}))

    def vanish(self, batch: str) -> None:
        """Have connections forgotten that were to last; return when they are."""
        self._wait(self._order_all({"order": "vanish", "batch": batch}))

    def begin_attempts(self, flows: tuple[PlannedFlow, ...], interval_s: float) -> None:
        """Have a connection opened every interval, the clients taking turns as the flows do."""
        batch = flows[0].batch
        number = self._next_number()
        first_s = time.time() + _LEAD_S
        for place, (client, program) in enumerate(self._programs.items()):
            order = {
                "order": "begin",
                "number": number,
                "batch": batch,
                "first": first_s + place * interval_s,
                "interval": len(self._programs) * interval_s,
                "flows": _plain(each for each in flows if each.client == client),
            }
            program.order(order)

    def end_attempts(self, batch: str) -> None:
        """Have no further attempt begun; return when those under way have ended."""
        self._wait(self._order_all({"order": "end", "batch": batch}))
        if batch in self._exhausted:
            raise LinuxError(
                what=f"the attempts of {batch!r} ran out before they were to end",
                remedy="let scenario.run draw more of them",
            )

    def wait(self, seconds: float) -> None:
        """Let time pass, hearing what the clients report meanwhile."""
        until = time.monotonic() + seconds

        def passed() -> bool:
            self.read()
            return time.monotonic() >= until

        wait_until(passed, "time to pass", seconds=seconds + 1)

    def report(self) -> None:
        """Have every connection reported that was to last, and closed."""
        self._wait(self._order_all({"order": "report"}))

    def read(self) -> None:
        """Hear what the clients have reported so far."""
        for client, program in self._programs.items():
            for report in program.read():
                self._take(client, report)

    def end(self) -> None:
        """End every client at once."""
        for program in self._programs.values():
            program.end()
        self._programs = {}

    def _order_and_wait(self, word: str, flows: tuple[PlannedFlow, ...]) -> None:
        number = self._next_number()
        clients = sorted({flow.client for flow in flows})
        for client in clients:
            order = {
                "order": word,
                "number": number,
                "batch": flows[0].batch,
                "flows": _plain(flow for flow in flows if flow.client == client),
            }
            self._programs[client].order(order)
        self._wait(number, len(clients))

    def _order_all(self, words: dict[str, Any]) -> int:
        number = self._next_number()
        for program in self._programs.values():
            program.order({**words, "number": number})
        return number

    def _wait(self, number: int, count: int | None = None) -> None:
        wanted = len(self._programs) if count is None else count

        def done() -> bool:
            self.read()
            return self._done.get(number, 0) >= wanted

        wait_until(done, "the clients to do as they were told", seconds=ORDER_S_MAX)

    def _next_number(self) -> int:
        self._order_count += 1
        return self._order_count

    def _take(self, client: str, report: dict[str, Any]) -> None:
        match report:
            case {"attempt": [batch, began, source, source_port, server_port, by, error]}:
                address = IpAddress.parse(source)
                at_s = began - self._origin_s
                ports = (source_port, server_port)
                attempt = Attempt(batch, at_s, client, address, *ports, by, error)
                self.attempts.append(attempt)
                self._on_attempt(attempt)
            case {"connection": words}:
                self.connections.append(self._connection(client, words))
            case {"done": number}:
                self._done[number] = self._done.get(number, 0) + 1
            case {"exhausted": batch}:
                self._exhausted.add(batch)

    def _connection(self, client: str, words: list[Any]) -> Connection:
        batch, source, source_port, server_port, opened, by, count, last, closed, error = words
        return Connection(
            batch=batch,
            client=client,
            source=IpAddress.parse(source),
            source_port=source_port,
            server_port=server_port,
            opened_s=opened - self._origin_s,
            answered_by=by,
            transfer_count=count,
            last_transfer_s=last - self._origin_s,
            closed_s=None if closed is None else closed - self._origin_s,
            error=error,
        )


def _plain(flows: Iterable[PlannedFlow]) -> list[list[str | int]]:
    return [[str(flow.source), flow.source_port, flow.server_port] for flow in flows]


def _last_line(log: Path) -> str:
    lines = log.read_text().strip().splitlines()
    return lines[-1] if lines else "it said nothing"
