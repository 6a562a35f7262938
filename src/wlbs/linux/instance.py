# SPDX-License-Identifier: Apache-2.0
"""Where an agent instance keeps what it needs while it runs.

Knows paths and the form of an instance's name. Knows nothing of what stands in the files.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wlbs.linux.bpffs import DIRECTORY as BPF_DIRECTORY
from wlbs.linux.error import LinuxError

RUN_DIRECTORY: Final = Path("/run/wlbs")
DEFAULT_NAME: Final = "wlbs"

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True)
class Instance:
    """One agent's places, all derived from its name."""

    name: str

    def __post_init__(self) -> None:
        """Refuse a name that would lead out of the directories."""
        if not _NAME.fullmatch(self.name):
            what = f"{self.name!r} is no name for an instance"
            raise LinuxError(what, "use letters, digits, - and _, beginning with a letter or digit")

    @property
    def directory(self) -> Path:
        """The directory of everything but the pins; emptied by a reboot, as the kernel is."""
        return RUN_DIRECTORY / self.name

    @property
    def lock(self) -> Path:
        """What a living agent holds."""
        return RUN_DIRECTORY / "locks" / f"instance-{self.name}"

    @property
    def record(self) -> Path:
        """What the agent has changed on this host."""
        return self.directory / "undo"

    @property
    def journal(self) -> Path:
        """What happened to the agent's member; outlives the agent, so that it can be replayed.

        No instance can have this name: a dot is not allowed in one.
        """
        return RUN_DIRECTORY / f"{self.name}.journal" / "journal"

    @property
    def socket(self) -> Path:
        """Where the agent answers."""
        return self.directory / "control.sock"

    @property
    def pins(self) -> Path:
        """Where programs, maps and attachments outlive the agent."""
        return BPF_DIRECTORY / "wlbs" / self.name


def interface_lock(namespace: int, index: int) -> Path:
    """Return what an agent holds for its interface, whatever its instance is called."""
    return RUN_DIRECTORY / "locks" / f"interface-{namespace}-{index}"


def recorded() -> tuple[Instance, ...]:
    """Return the instances that have left a record, in the order of their names."""
    return tuple(Instance(path.parent.name) for path in sorted(RUN_DIRECTORY.glob("*/undo")))
