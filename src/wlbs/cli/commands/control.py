# SPDX-License-Identifier: Apache-2.0
"""`wlbs query`, `wlbs start` and `wlbs stop`: talking to this host's agent.

Knows how a status is shown to a person and to a script. Imports neither pydantic nor pyroute2, and
rich only for a terminal, so that a query is quick enough for a health check.
"""

import json
import sys
from dataclasses import asdict
from typing import Final

import click

from wlbs.cli.exits import Exit
from wlbs.control.client import ask
from wlbs.control.messages import Done, Query, Refused, Request, Start, Stop
from wlbs.core.buckets import BUCKET_COUNT
from wlbs.core.protocol.status import HostStatus, Status
from wlbs.core.reason import MEANING, Reason
from wlbs.linux.instance import DEFAULT_NAME, Instance

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
@click.argument("host", required=False)
@_INSTANCE
def start(host: str | None, instance: str) -> int:
    """Let a host take part in the cluster: this one, or HOST by name or priority."""
    return _command(instance, Start(host))


@click.command()
@click.argument("host", required=False)
@_INSTANCE
def stop(host: str | None, instance: str) -> int:
    """Take a host out of the cluster at once: this one, or HOST by name or priority."""
    return _command(instance, Stop(host))


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
        f" VMAC {status.vmac}\n"
        f"this host: {status.own_priority}, {status.state}, lease {lease},"
        f" {status.flagged_count} marked buckets"
    )


def _rows(status: Status) -> list[tuple[str, ...]]:
    rule_count = max((len(host.shares) for host in status.hosts), default=1) - 1
    rules = tuple(f"rule {number}" for number in range(1, rule_count + 1))
    heading = ("host", "name", "dedicated IP", "present", *rules, "other traffic")
    return [heading, *(_row(status, host) for host in status.hosts)]


def _row(status: Status, host: HostStatus) -> tuple[str, ...]:
    present = "yes" if host.present else "no"
    if host.is_default_host:
        present += ", default host"
    own = "*" if host.priority == status.own_priority else ""
    shares = (f"{100 * share / BUCKET_COUNT:.1f} %" for share in host.shares)
    return (f"{host.priority}{own}", host.name, host.dedicated_ip, present, *shares)


def _counter_rows(status: Status) -> list[tuple[str, ...]]:
    return [
        (str(count), name, MEANING[Reason[name]] if name in Reason.__members__ else "")
        for name, count in status.counters.items()
        if count
    ]


def _show_plain(status: Status) -> None:
    click.echo(_heading(status))
    for rows in (_rows(status), [("frames", "reason", "meaning"), *_counter_rows(status)]):
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
    for rows in (_rows(status), [("frames", "reason", "meaning"), *_counter_rows(status)]):
        table = Table(*rows[0])
        for row in rows[1:]:
            table.add_row(*row)
        console.print(table)
