# SPDX-License-Identifier: Apache-2.0
"""Network namespaces by name, as ``ip netns`` keeps them, and which one the caller is in.

Knows /run/netns and ``setns``. Only the network is entered: ``ip netns exec`` also mounts /sys
anew, which hides /sys/fs/bpf.
"""

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from wlbs.linux.error import LinuxError

DIRECTORY: Final = Path("/run/netns")

_CLONE_NEWNET: Final = 0x40000000
_PROC: Final = Path("/proc")


def create(name: str) -> None:
    """Make a namespace of this name; LinuxError if there is one already."""
    _ip("add", name)


def remove(name: str) -> None:
    """Remove a namespace; one that is not there is no error."""
    if (DIRECTORY / name).exists():
        _ip("delete", name)


def names() -> tuple[str, ...]:
    """Return the names of all namespaces, in alphabetical order."""
    return tuple(sorted(path.name for path in DIRECTORY.glob("*")))


@contextmanager
def entered(name: str) -> Iterator[None]:
    """Put the calling thread into a namespace until the block ends."""
    with Path("/proc/thread-self/ns/net").open("rb") as before:
        try:
            with (DIRECTORY / name).open("rb") as target:
                _setns(target.fileno())
        except FileNotFoundError as error:
            what = f"there is no network namespace {name}"
            raise LinuxError(what, "see which there are: ip netns list") from error
        try:
            yield
        finally:
            _setns(before.fileno())


def own() -> int:
    """Return the number (inode) of the namespace the calling thread is in."""
    return Path("/proc/thread-self/ns/net").stat().st_ino


def way_into(number: int) -> Path | None:
    """Return a path to enter the namespace of this number by, or None if it is gone."""
    candidates = [*DIRECTORY.glob("*"), *_PROC.glob("[0-9]*/ns/net")]
    return next((path for path in candidates if _number(path) == number), None)


def processes() -> dict[int, str]:
    """Return the processes in the caller's namespace, process id to program name."""
    here = own()
    found = {}
    for path in _PROC.glob("[0-9]*"):
        if _number(path / "ns/net") == here:
            try:
                found[int(path.name)] = (path / "comm").read_text("utf-8", "replace").strip()
            except (FileNotFoundError, ProcessLookupError):
                continue
    return found


def _number(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None  # the process has ended, or is not ours to look at


def _setns(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET) != 0:
        reason = os.strerror(ctypes.get_errno())
        what = f"cannot enter a network namespace: {reason}"
        raise LinuxError(what, "run as root")


def _ip(word: str, name: str) -> None:
    done = subprocess.run(
        ["ip", "netns", word, name], check=False, capture_output=True, text=True, timeout=10
    )
    if done.returncode != 0:
        what = f"cannot {word} network namespace {name}: {done.stderr.strip()}"
        raise LinuxError(
            what,
            "run as root; see which there are: ip netns list",
        )
