# SPDX-License-Identifier: Apache-2.0
"""`wlbs replay`: an agent's journal, fed to the protocol once more.

Knows words and exit statuses. Knows nothing of what should have happened: it compares.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Final

import click

from wlbs.cli.exits import Exit
from wlbs.core.protocol.journal import Difference, JournalError
from wlbs.core.protocol.journal import replay as repeat

SHOWN_MAX: Final = 10
"""After the first difference the two lives have parted; a few show how, more say nothing new."""


@click.command()
@click.argument("journal", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for scripts.")
def replay(journal: Path, *, as_json: bool) -> int:
    """Feed an agent's JOURNAL to the protocol again and compare what follows.

    The journal of a running agent is /run/wlbs/NAME.journal/journal; it holds the cluster's secret.
    Exit status 0 if every effect is the same, 1 if not, 2 if it is no journal.
    """
    try:
        with journal.open(encoding="utf-8") as lines:
            differences = list(repeat(lines))
    except (JournalError, UnicodeDecodeError) as error:
        message = f"{journal}: {error}"
        raise click.UsageError(message) from error
    shown = differences[:SHOWN_MAX]
    if as_json:
        found = [asdict(each) for each in shown]
        click.echo(json.dumps({"same": not differences, "differences": found}))
    elif differences:
        click.echo("\n".join(map(_told, shown)))
        click.echo(f"{len(differences)} events had other effects than are written")
    else:
        click.echo("every event had the effects that are written")
    return Exit.FAILED if differences else Exit.OK


def _told(difference: Difference) -> str:
    lines = [f"line {difference.line}:"]
    lines += [f"  written   {each}" for each in difference.written]
    lines += [f"  repeated  {each}" for each in difference.repeated]
    return "\n".join(lines)
