# SPDX-License-Identifier: Apache-2.0
"""Exclusive locks that the kernel drops when their holder dies, and who holds them.

Knows ``flock`` and that the file carries its holder's process id. Knows nothing of what a lock
protects; the caller names that.
"""

import fcntl
import os
from pathlib import Path
from typing import Final

from wlbs.linux.error import LinuxError

_TRIES_MAX: Final = 100
"""Each try fails only if a holder let go in just that moment."""


class LockedError(LinuxError):
    """Another living process holds the lock."""


class Lock:
    """A lock held from `Lock.take` until `release`."""

    def __init__(self, path: Path, descriptor: int) -> None:
        """Wrap a descriptor that is locked already; `take` is the way to get one."""
        self._path = path
        self._descriptor = descriptor

    @classmethod
    def take(cls, path: Path, subject: str) -> "Lock":
        """Take the lock or raise `LockedError` that names the subject and the holder's pid."""
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        for _ in range(_TRIES_MAX):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pid = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
                os.close(descriptor)
                what = f"{subject} is in use by another wlbs agent, process {pid}"
                raise LockedError(
                    what,
                    f"stop it first: kill {pid}",
                ) from None
            # A holder that lets go removes the file: then this lock is on a name nobody sees.
            if _is(path, descriptor):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
                return cls(path, descriptor)
            os.close(descriptor)
        what = f"{path} changes hands too fast to be taken"
        raise LockedError(what, "see which agents are started over and over: ps -C wlbs")

    def release(self) -> None:
        """Remove the file and let go; once."""
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


def _is(path: Path, descriptor: int) -> bool:
    """Whether the path still names the file that is open."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
