# SPDX-License-Identifier: Apache-2.0
"""What is to be seen while the demo runs: who answers, and what the switch knows.

Knows pictures, on a terminal and without one. Knows nothing of the story, nor of how a run is
carried out.
"""

import time
from collections import Counter, deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from wlbs.core.address import Mac
from wlbs.scenario.evidence import Attempt
from wlbs.scenario.topology import Topology

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

REDRAW_S: Final = 0.1
"""Ten pictures a second look live, and leave the processors to the cluster."""

TABLE_S: Final = 0.5
"""Reading the switch's table starts a process; twice a second is often enough to see it."""

RECENT_S: Final = 1.0
"""Bars show who was answered in the last second, so that one sees a host's clients go and come."""

BAR_WIDTH: Final = 30
RECENT_COUNT_MAX: Final = 1000
"""More than all clients together try in a second."""

Table = tuple[tuple[Mac, str], ...]


def picture(topology: Topology) -> str:
    """Return the topology as it would be drawn on paper."""
    hosts = "   ".join(f"[{host.name} {host.address}]" for host in topology.hosts)
    clients = "   ".join(f"[{client.name} {client.address}]" for client in topology.clients)
    return "\n".join(
        (
            f"  {hosts}",
            f"  every host: {topology.vip} at {topology.vmac}",
            "        |",
            "      [s1]",
            "        |",
            f"  {clients}",
        )
    )


class Score:
    """Whose clients were answered; attempts are known by the host that they are aimed at."""

    def __init__(self, topology: Topology) -> None:
        """Begin with nothing."""
        self._topology = topology
        self._recent: deque[tuple[float, str]] = deque(maxlen=RECENT_COUNT_MAX)
        self._latest_s = 0.0
        self.failed: Counter[str] = Counter()

    def attempt(self, attempt: Attempt) -> None:
        """Count an answer, or that none came."""
        self._latest_s = max(self._latest_s, attempt.at_s)
        if attempt.answered_by is None:
            self.failed[attempt.batch] += 1
        else:
            self._recent.append((attempt.at_s, attempt.batch))

    def bars(self) -> list[str]:
        """Return one bar for each host: how many of its clients were answered of late."""
        since_s = self._latest_s - RECENT_S
        recent = Counter(batch for at_s, batch in self._recent if at_s > since_s)
        most = max(recent.values(), default=1)
        lines = []
        for host in self._topology.hosts:
            count = recent[host.name]
            bar = "#" * round(count / most * BAR_WIDTH)
            gave_up = f", {self.failed[host.name]} gave up" if self.failed[host.name] else ""
            lines.append(f"clients of {host.name} {bar:{BAR_WIDTH}} {count:3} answered{gave_up}")
        return lines


def ports_of(table: Table, topology: Topology) -> str:
    """Return what the switch knows of the cluster's MAC, in one line."""
    ports = [port for mac, port in table if mac == topology.vmac]
    where = f"at port {', '.join(ports)}" if ports else "no port known, so it is flooded"
    return f"switch: {topology.vmac} {where}"


class Screen:
    """The live picture: redrawn when something happened, at most every `REDRAW_S`."""

    def __init__(self, live: "Live", topology: Topology, read: Callable[[], Table]) -> None:
        """Draw on a live display; ``read`` reads the switch's table."""
        self._live = live
        self._topology = topology
        self._read = read
        self._drawn_at = 0.0
        self._read_at = 0.0
        self._table: Table = ()
        self.score = Score(topology)
        self.title = ""
        self.words = ""

    def tell(self, title: str, words: str) -> None:
        """Show what is going on now; a title stays until there is another."""
        self.title = title or self.title
        self.words = words
        self.draw()

    def attempt(self, attempt: Attempt) -> None:
        """Show an answer, at the next redraw."""
        self.score.attempt(attempt)
        now = time.monotonic()
        if now - self._read_at > TABLE_S:
            self._read_at = now
            self._table = self._read()
        if now - self._drawn_at > REDRAW_S:
            self.draw()

    def draw(self) -> None:
        """Show everything as it is now."""
        self._drawn_at = time.monotonic()
        self._live.update(self._drawing(), refresh=True)

    def _drawing(self) -> "RenderableType":
        from rich.console import Group  # noqa: PLC0415 - slow to import, and only for terminals
        from rich.panel import Panel  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        is_captured = any(mac == self._topology.vmac for mac, _ in self._table)
        table = "\n".join(
            f"{mac}  {port}{'  <- the cluster' if mac == self._topology.vmac else ''}"
            for mac, port in sorted(self._table, key=lambda entry: entry[1])
        )
        switch = ports_of(self._table, self._topology)
        return Group(
            Text(self.title, style="bold"),
            Text(self.words),
            Panel(Text("\n".join(self.score.bars())), title="the last second", expand=False),
            Panel(
                Text(f"{switch}\n{table}", style="red" if is_captured else ""),
                title="the switch's table",
                expand=False,
            ),
        )
