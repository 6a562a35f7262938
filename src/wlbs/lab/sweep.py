# SPDX-License-Identifier: Apache-2.0
"""Removing a lab, and whatever an earlier crash left of one.

Finds everything by name and by the kernel's own lists, never by what a lab wrote down, so that it
works after a kill at any moment and as often as one likes. Knows nothing of how a lab is made.
"""

import os
import shutil
import signal
from pathlib import Path
from typing import Final

from wlbs.lab.command import run
from wlbs.lab.names import LABS, NAMESPACES, PINS, RUN, LabNames, lab_of_namespace
from wlbs.lab.wait import wait_until
from wlbs.linux.error import LinuxError

TERM_S_MAX: Final = 5.0
"""How long processes may take to undo what they did; an agent needs well under a second."""


def labs_found() -> tuple[str, ...]:
    """Return the names of all labs of which anything is left, in alphabetical order."""
    found = {lab_of_namespace(path.name) for path in _children(NAMESPACES)}
    found |= {path.name for path in _children(LABS)}
    return tuple(sorted(lab for lab in found if lab))


def namespaces_of(lab: str) -> tuple[str, ...]:
    """Return the network namespaces of one lab that exist."""
    names = (path.name for path in _children(NAMESPACES))
    return tuple(sorted(name for name in names if lab_of_namespace(name) == lab))


def sweep(lab: str) -> int:
    """Remove all that is left of a lab and return how many things that were."""
    removed_count = 0
    # Again, until there is nothing: what a killed builder had started may just be finishing.
    while namespaces := namespaces_of(lab):
        removed_count += _end_processes(namespaces) + len(namespaces)
        for namespace in namespaces:
            run(("ip", "netns", "delete", namespace))
    names = LabNames(lab)
    folders = [names.state]
    # The dash belongs to the pattern: lab `a` must not sweep the agents of lab `ab`.
    folders += [path for base in (RUN, PINS) for path in _children(base, f"{lab}-*")]
    for folder in folders:
        if folder.exists():
            shutil.rmtree(folder)
            removed_count += 1
    return removed_count


def processes_in(namespace: str) -> tuple[int, ...]:
    """Return the processes that live in a network namespace, this one excepted."""
    try:
        words = run(("ip", "netns", "pids", namespace)).split()
    except LinuxError:
        # Half a namespace: the file is there and nothing is mounted on it, so nobody is inside.
        return ()
    return tuple(int(word) for word in words if int(word) != os.getpid())


def _end_processes(namespaces: tuple[str, ...]) -> int:
    ended = _signal_all(namespaces, signal.SIGTERM)
    if not ended:
        return 0
    try:
        wait_until(lambda: _nobody_in(namespaces), "processes to end", seconds=TERM_S_MAX)
    except LinuxError:
        _signal_all(namespaces, signal.SIGKILL)
        wait_until(lambda: _nobody_in(namespaces), "killed processes to end")
    return ended


def _nobody_in(namespaces: tuple[str, ...]) -> bool:
    return not any(processes_in(namespace) for namespace in namespaces)


def _signal_all(namespaces: tuple[str, ...], number: signal.Signals) -> int:
    count = 0
    for namespace in namespaces:
        for process in processes_in(namespace):
            try:
                os.kill(process, number)
                # A process that a scenario has stalled acts on a signal only when it goes on.
                os.kill(process, signal.SIGCONT)
            except ProcessLookupError:
                continue
            count += 1
    return count


def _children(folder: Path, pattern: str = "*") -> tuple[Path, ...]:
    return tuple(sorted(folder.glob(pattern))) if folder.exists() else ()
