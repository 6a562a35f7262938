# SPDX-License-Identifier: Apache-2.0
"""`wlbs check`, `wlbs init` and `wlbs schema`: write a configuration and check it.

Knows how problems are shown to people and to programs; what a problem is, is known to `config`.
"""

import json
from dataclasses import asdict
from pathlib import Path

import click

from wlbs.cli.exits import Exit
from wlbs.config.error import ConfigError, Problem
from wlbs.config.example import EXAMPLE_HOST_COUNT, EXAMPLE_PRIMARY, example
from wlbs.config.load import Configuration, load
from wlbs.config.models import check_ipv4, json_schema
from wlbs.core.address import HOST_PRIORITY_MAX, IpAddress


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of words.")
def check(file: Path, *, as_json: bool) -> int | None:
    """Check a configuration and name every problem in it, each with its line and cure.

    Nothing is touched: run it on a copy before you bring the file to the hosts. Exit status 0 if
    the file can be used, warnings or not, and 2 if it cannot.

    \b
    Example:
      wlbs init > web.toml
      wlbs check web.toml
    """  # noqa: D301 - click wants the character
    if as_json:
        return _check_for_programs(file)
    configuration = load(file)
    for warning in configuration.warnings:
        click.echo(f"warning: {warning.describe(file)}")
    click.echo(f"{file}: {_summary(configuration)}: no problems")
    return None


@click.command()
@click.option(
    "--hosts",
    "host_count",
    type=click.IntRange(1, HOST_PRIORITY_MAX),
    default=EXAMPLE_HOST_COUNT,
    show_default=True,
    help="How many hosts the cluster has.",
)
@click.option(
    "--primary-ip",
    metavar="IP",
    default=EXAMPLE_PRIMARY,
    show_default=True,
    help="The address that clients use.",
)
def init(host_count: int, primary_ip: str) -> None:
    """Print a commented configuration to start from.

    Set the interface and the hosts' addresses in it, make the key file it names, and check it.
    Then put both files on every host.

    \b
    Example:
      wlbs init --hosts 3 --primary-ip 10.0.0.10 > web.toml
      (umask 077; openssl rand -hex 32 > web.key)
      wlbs check web.toml
    """  # noqa: D301 - click wants the character
    try:
        primary = IpAddress.parse(check_ipv4(primary_ip, "virtual IPs"))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--primary-ip") from error
    click.echo(example(primary, host_count), nl=False)


@click.command()
def schema() -> None:
    """Print the JSON schema of the configuration, for editors and for programs that write one.

    \b
    Example:
      wlbs schema > wlbs.schema.json
      # then, on the first line of web.toml, for editors that know taplo:
      #:schema ./wlbs.schema.json
    """  # noqa: D301 - click wants the character
    click.echo(json.dumps(json_schema(), indent=2))


def _check_for_programs(file: Path) -> int | None:
    """Print one object on standard output, whether or not there are problems."""
    try:
        warnings = load(file).warnings
    except ConfigError as error:
        click.echo(json.dumps(_report(file, error.problems, ()), indent=2))
        return Exit.CONFIGURATION
    click.echo(json.dumps(_report(file, (), warnings), indent=2))
    return None


def _report(
    file: Path, problems: tuple[Problem, ...], warnings: tuple[Problem, ...]
) -> dict[str, object]:
    return {
        "file": str(file),
        "problems": [asdict(problem) for problem in problems],
        "warnings": [asdict(warning) for warning in warnings],
    }


def _summary(configuration: Configuration) -> str:
    cluster = configuration.cluster
    counts = (
        _count(len(cluster.vips), "virtual IP"),
        _count(len(cluster.hosts), "host"),
        _count(len(cluster.rules), "rule"),
    )
    return f"cluster {cluster.name}, {', '.join(counts)}"


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
