# SPDX-License-Identifier: Apache-2.0
"""`wlbs query`, `start`, `stop` and `drainstop`: talking to this host's agent.

Knows how a status is shown to a person and to a script. Imports neither pydantic nor pyroute2, and
rich only for a terminal, so that a query is quick enough for a health check.
"""

import json
import sys
import time
from dataclasses import asdict
from typing import Final

import click

from wlbs.cli.exits import Exit
from wlbs.control.client import ask
from wlbs.control.messages import Done, Drainstop, Query, Refused, Request, Start, Stop
from wlbs.core.buckets import BUCKET_COUNT
from wlbs.core.protocol.effects import State
from wlbs.core.protocol.refusal import MEANING as REFUSAL_MEANING
from wlbs.core.protocol.refusal import Refusal
from wlbs.core.protocol.status import CaptureStatus, HostStatus, Status
from wlbs.core.reason import MEANING, Reason
from wlbs.linux.instance import DEFAULT_NAME, Instance

POLL_S: Final = 0.1
"""How often a drain is looked at: the heartbeat period, at which the agent counts."""

_INSTANCE: Final = click.option(
    "--instance", default=DEFAULT_NAME, show_default=True, help="Name of the agent to ask."
)


@click.command()
@_INSTANCE
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for scripts.")
def query(instance: str, *, as_json: bool) -> int:
    """Show what this host's agent says of its cluster."""
    answer = ask(Instance(instance).socket, Query())
    if isinstance(answer, Refused):
        return _refused(answer)
    if as_json:
        click.echo(json.dumps(asdict(answer.status), indent=2))
    elif sys.stdout.isatty():
        _show_rich(answer.status)
    else:
        _show_plain(answer.status)
    return Exit.OK


@click.command()
@_INSTANCE
def start(instance: str) -> int:
    """Let this host take part in the cluster.

    It listens for one detection time and then takes its share; a drainstop under way is called off.
    """
    return _command(instance, Start())


@click.command()
@_INSTANCE
def stop(instance: str) -> int:
    """Take this host out of the cluster at once.

    Its connections are cut, and it says how many; `wlbs drainstop` lets them end first.
    """
    return _command(instance, Stop())


@click.command()
@click.option(
    "--wait",
    type=click.FloatRange(0),
    default=0.0,
    metavar="SECONDS",
    help="Return when the host has stopped; exit status 1 if it has not by then.",
)
@_INSTANCE
def drainstop(wait: float, instance: str) -> int:
    """Take nothing new, and stop when the last connection has ended.

    Returns at once unless --wait is given. `wlbs query` shows how many are left; `wlbs stop` ends
    the drain by cutting them, `wlbs start` calls it off.
    """
    status = _command(instance, Drainstop())
    if status != Exit.OK or not wait:
        return status
    until = time.monotonic() + wait
    while time.monotonic() < until:
        answer = ask(Instance(instance).socket, Query())
        if isinstance(answer, Done) and answer.status.state is State.STOPPED:
            click.echo("this host has stopped")
            return Exit.OK
        time.sleep(POLL_S)
    click.echo(f"wlbs: connections are left after {wait:g} s; `wlbs stop` cuts them", err=True)
    return Exit.FAILED


def _command(instance: str, request: Request) -> int:
    answer = ask(Instance(instance).socket, request)
    match answer:
        case Refused():
            return _refused(answer)
        case Done(said=said):
            click.echo(said)
            return Exit.OK


def _refused(answer: Refused) -> int:
    click.echo(f"wlbs: {answer.because}", err=True)
    return Exit.FAILED


def _heading(status: Status) -> str:
    lease = "live" if status.lease_live else "run out or ended"
    return (
        f"cluster {status.cluster}, {status.mode}, primary IP {status.primary_ip},"
        f" VMAC {status.vmac}, timing {status.timing}\n"
        f"this host: {status.own_priority}, {status.state}, lease {lease},"
        f" {status.flagged_count} flagged buckets, {status.left_count} left to others\n"
        f"{_capture_line(status.capture)}"
    )


def _capture_line(capture: CaptureStatus) -> str:
    """Return how frames for the VMAC travel, and what is done about it, in one line."""
    words = [f"frames for the VMAC: {capture.means}"]
    if capture.captor is not None:
        words.append(f"host {capture.captor}")
    if capture.receiver is not None:
        words.append(f"host {capture.receiver} receives and relays")
    if capture.ms_ago is not None:
        words.append(f"since {capture.ms_ago / 1000:.1f} s")
    if capture.steps:
        steps = (f"{each.step} {each.ms_ago / 1000:.1f} s ago" for each in capture.steps)
        words.append(f"steps of this host: {', '.join(steps)}")
    return "; ".join(words)


def _rows(status: Status) -> list[tuple[str, ...]]:
    rule_count = max((len(host.shares) for host in status.hosts), default=1) - 1
    rules = tuple(f"rule {number}" for number in range(1, rule_count + 1))
    heading = ("host", "name", "dedicated IP", "state", "heard", *rules, "other traffic")
    return [heading, *(_row(status, host) for host in status.hosts)]


def _row(status: Status, host: HostStatus) -> tuple[str, ...]:
    state = f"{host.state}, default host" if host.is_default_host else host.state
    own = "*" if host.priority == status.own_priority else ""
    heard = "" if host.heard_ms_ago is None else f"{host.heard_ms_ago} ms ago"
    shares = (f"{100 * share / BUCKET_COUNT:.1f} %" for share in host.shares)
    return (f"{host.priority}{own}", host.name, host.dedicated_ip, state, heard, *shares)


def _refusal_rows(status: Status) -> list[tuple[str, ...]]:
    return [
        (str(count), name, REFUSAL_MEANING[Refusal[name]] if name in Refusal.__members__ else "")
        for name, count in status.refusals.items()
        if count
    ]


def _tables(status: Status) -> list[list[tuple[str, ...]]]:
    """Return the tables of a status, each with its heading; refusals only if there are any."""
    tables = [_rows(status), [("frames", "reason", "meaning"), *_counter_rows(status)]]
    refused = _refusal_rows(status)
    if refused:
        tables.append([("refused", "reason", "meaning"), *refused])
    return tables


def _counter_rows(status: Status) -> list[tuple[str, ...]]:
    return [
        (str(count), name, MEANING[Reason[name]] if name in Reason.__members__ else "")
        for name, count in status.counters.items()
        if count
    ]


def _show_plain(status: Status) -> None:
    click.echo(_heading(status))
    for rows in _tables(status):
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        click.echo()
        for row in rows:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            click.echo("  ".join(cells).rstrip())


def _show_rich(status: Status) -> None:
    from rich.console import Console  # noqa: PLC0415 - slow to import, and scripts need none
    from rich.table import Table  # noqa: PLC0415

    console = Console(highlight=False)
    console.print(_heading(status))
    for rows in _tables(status):
        table = Table(*rows[0])
        for row in rows[1:]:
            table.add_row(*row)
        console.print(table)
