# SPDX-License-Identifier: Apache-2.0
"""The file system in which programs outlive the process that loaded them.

Knows where it is and how it is mounted. Knows nothing of what is pinned there.
"""

import fcntl
import os
import subprocess
from pathlib import Path
from typing import Final

from wlbs.linux.error import LinuxError

DIRECTORY: Final = Path("/sys/fs/bpf")


def ensure_mounted() -> None:
    """Mount it where nobody has; systemd does so at boot, and as there it stays mounted."""
    directory = os.open(DIRECTORY.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # Of several agents that start at once only one may mount: a second mount hides the first.
        fcntl.flock(directory, fcntl.LOCK_EX)
        if not _is_mounted():
            _mount()
    finally:
        os.close(directory)


def _mount() -> None:
    done = subprocess.run(
        ["mount", "-t", "bpf", "bpf", str(DIRECTORY)],
        check=False,
        capture_output=True,
        text=True,
        timeout=10,
    )
    if done.returncode != 0:
        what = f"{DIRECTORY} is no BPF file system and cannot be made one: {done.stderr.strip()}"
        raise LinuxError(what, f"as root: mount -t bpf bpf {DIRECTORY}")


def _is_mounted() -> bool:
    mounts = Path("/proc/thread-self/mounts").read_text("utf-8").splitlines()
    return any(line.split()[1:3] == [str(DIRECTORY), "bpf"] for line in mounts)
