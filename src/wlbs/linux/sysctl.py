# SPDX-License-Identifier: Apache-2.0
"""Kernel settings under /proc/sys, of the network namespace the caller is in.

Settings are named by their path, ``net/ipv4/conf/eth0.7/arp_ignore``, because an interface's
name may contain dots. Knows nothing of which settings a cluster needs.
"""

from pathlib import Path
from typing import Final

from wlbs.linux.error import LinuxError

_ROOT: Final = Path("/proc/sys")


def read(name: str) -> str | None:
    """Return a setting, or None if this kernel or interface does not have it."""
    try:
        return (_ROOT / name).read_text("ascii").strip()
    except FileNotFoundError:
        return None


def write(name: str, value: str) -> None:
    """Change a setting; LinuxError if the kernel refuses."""
    try:
        (_ROOT / name).write_text(value, "ascii")
    except OSError as error:
        what = f"cannot set /proc/sys/{name} to {value}: {error.strerror}"
        raise LinuxError(
            what,
            "run as root, outside containers that mount /proc/sys read-only",
        ) from error
