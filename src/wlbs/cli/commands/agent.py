# SPDX-License-Identifier: Apache-2.0
"""`wlbs agent` and `wlbs undo`: serving a cluster, and cleaning up after an agent that died.

Knows the words of the two commands and what they print. Knows nothing of how it is done.
"""

import sys
from pathlib import Path

import click

from wlbs.agent import service
from wlbs.config.load import load
from wlbs.linux.instance import DEFAULT_NAME, Instance, recorded


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--host", metavar="NAME", help="Which host of the cluster this machine is.")
@click.option("--instance", default=DEFAULT_NAME, show_default=True, help="Name of this agent.")
@click.option(
    "--drain-timeout",
    type=click.FloatRange(0),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long SIGTERM waits for the last connection to end.",
)
def agent(config: Path, host: str | None, instance: str, drain_timeout: float) -> None:
    """Run this host's agent until it is told to stop.

    Prints `ready` when it can be asked; `wlbs query` then shows how it joins. SIGTERM or Ctrl-C
    drains the host, stops it and undoes every change; a second one does not wait for the drain. An
    agent that starts after a kill -9 takes over what the dead one left, connections included.
    """
    order = service.Order(host, Instance(instance), drain_timeout)
    service.run(load(config), order, _say, sys.stderr)


@click.command()
@click.option("--instance", default=DEFAULT_NAME, show_default=True, help="Name of the agent.")
@click.option("--all", "every", is_flag=True, help="Every instance that left something behind.")
def undo(instance: str, *, every: bool) -> None:
    """Undo what an agent changed on this host and left behind.

    Refuses while the agent lives. Typing it twice does no harm.
    """
    instances = recorded() if every else (Instance(instance),)
    if not instances:
        _say("nothing to undo")
    service.undo(instances, _say, skip_living=every)


def _say(line: str) -> None:
    click.echo(line)
    sys.stdout.flush()
