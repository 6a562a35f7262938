# SPDX-License-Identifier: Apache-2.0
"""The `wlbs` command: finds the subcommand, and maps every error to words and an exit status.

Subcommands are imported when they are called: `wlbs query` should not pay for what `wlbs lab`
needs. Knows which file holds which command; knows nothing of what they do.
"""

import importlib
import sys
from typing import Final

import click

from wlbs import __version__
from wlbs.cli.exits import Exit

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "agent": ("agent", "Run this host's agent until it is told to stop."),
    "check": ("config", "Check a configuration and name every problem in it."),
    "drainstop": ("control", "Take nothing new, and stop when the last connection has ended."),
    "demo": ("demo", "Show how one frame cuts a cluster off, and what wlbs does about it."),
    "init": ("config", "Print a configuration to start from."),
    "ip2mac": ("address", "Print the cluster's MAC addresses for a primary IP address."),
    "lab": ("lab", "Build clusters out of network namespaces and run scenarios on them."),
    "monitor": ("monitor", "Show the frames of an interface, and what the filter makes of each."),
    "query": ("control", "Show what this host's agent says of its cluster."),
    "schema": ("config", "Print the JSON schema of the configuration."),
    "replay": ("replay", "Feed an agent's journal to the protocol again and compare."),
    "sim": ("sim", "Run scenarios in a simulated world, without root."),
    "start": ("control", "Let this host take part in the cluster."),
    "stop": ("control", "Take this host out of the cluster at once, cutting its connections."),
    "undo": ("agent", "Undo what an agent changed on this host and left behind."),
}
"""Command name to (file in cli/commands, summary); the file has a function of the same name."""


class LazyGroup(click.Group):
    """A group whose commands are imported on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the command names in alphabetical order."""
        del ctx
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command, or None if there is no such command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"wlbs.cli.commands.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command list from the table, importing nothing."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in sorted(COMMANDS)])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="wlbs")
def wlbs() -> None:
    """One address, every host, no load balancer.

    Every host of a cluster receives every frame sent to one virtual IP and keeps its own share.

    Begin with `wlbs demo`, which builds a whole cluster on this machine, or with `wlbs init`.
    Exit status: 0 done, 1 failed, 2 wrong configuration or words, 3 something on this machine is
    missing or in the way.
    """


def main() -> None:
    """Run the command line; the only place where errors become words and exit statuses."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit status; used by `main` and by tests."""
    try:
        status = wlbs.main(args=arguments, prog_name="wlbs", standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("wlbs: interrupted", err=True)
        return Exit.FAILED
    except click.ClickException as error:
        error.show()
        return Exit.CONFIGURATION
    except Exception as error:  # noqa: BLE001 - _explain raises again what is not ours
        return _explain(error)
    return int(status) if isinstance(status, int) else Exit.OK


def _explain(error: Exception) -> int:
    """Say what an error of ours means; anything else is a bug and keeps its traceback."""
    from wlbs.config.error import ConfigError  # noqa: PLC0415 - only when one is needed
    from wlbs.linux.error import LinuxError  # noqa: PLC0415

    match error:
        case ConfigError():
            click.echo(str(error), err=True)
            return Exit.CONFIGURATION
        case LinuxError():
            click.echo(f"wlbs: {error.what}\n  cure: {error.remedy}", err=True)
            return Exit.ENVIRONMENT
        case _:
            raise error
