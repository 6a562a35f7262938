# SPDX-License-Identifier: Apache-2.0
"""Running Debian's programs, here or inside a lab's network namespace.

Knows how a failure becomes a `LinuxError` and how a namespace is entered: by ``nsenter`` for the
network alone, because ``ip netns exec`` mounts a new /sys and hides the pinned programs. Knows
nothing of what the programs are for.
"""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from wlbs.lab.names import NAMESPACES
from wlbs.linux.error import LinuxError

COMMAND_S_MAX: Final = 30
"""No configuration command of the lab takes a second; this only bounds a hang."""


def require_root() -> None:
    """Refuse to go on without root, in one line with what to type."""
    if os.geteuid() != 0:
        raise LinuxError(
            what="a lab needs root, to make network namespaces and load eBPF programs",
            remedy="type it again with sudo in front",
        )


def run(arguments: Sequence[str], *, given: str = "") -> str:
    """Run a program to its end and return what it printed; LinuxError if it fails."""
    try:
        done = subprocess.run(
            arguments,
            input=given,
            capture_output=True,
            text=True,
            timeout=COMMAND_S_MAX,
            check=False,
        )
    except FileNotFoundError as error:
        raise LinuxError(
            what=f"{arguments[0]} is not installed", remedy="type `make setup`"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise LinuxError(
            what=f"`{' '.join(arguments)}` hung for {COMMAND_S_MAX} s",
            remedy="type `wlbs lab sweep`",
        ) from error
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip().replace("\n", "; ")
        raise LinuxError(
            what=f"`{' '.join(arguments)}` failed: {words}", remedy="type `wlbs lab sweep`"
        )
    return done.stdout


def inside(namespace: str, *arguments: str) -> tuple[str, ...]:
    """Return the command line that runs a program inside a network namespace."""
    return ("nsenter", f"--net={NAMESPACES / namespace}", "--", *arguments)


def start(arguments: Sequence[str], log: Path) -> None:
    """Start a program that outlives this one, its output in a file."""
    with log.open("wb") as output:
        subprocess.run(
            ("setsid", "--fork", *arguments),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=COMMAND_S_MAX,
            check=True,
        )
