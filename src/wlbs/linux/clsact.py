# SPDX-License-Identifier: Apache-2.0
"""Filters of the clsact queueing discipline, through libbpf.

Knows where such a filter goes and how its discipline comes and goes. Knows nothing of what the
program in it does.
"""

import ctypes
import errno
from typing import Final

from wlbs.linux.libbpf import call

_U32: Final = ctypes.c_uint32
_INT: Final = ctypes.c_int
_SIZE: Final = ctypes.c_size_t


class _TcHook(ctypes.Structure):
    """``struct bpf_tc_hook``."""

    _fields_ = (
        ("size", _SIZE),
        ("ifindex", _INT),
        ("attach_point", _INT),
        ("parent", _U32),
    )


class _TcOptions(ctypes.Structure):
    """``struct bpf_tc_opts``."""

    _fields_ = (
        ("size", _SIZE),
        ("program_fd", _INT),
        ("flags", _U32),
        ("program_id", _U32),
        ("handle", _U32),
        ("priority", _U32),
    )


class ClsactFilter:
    """One place of an interface's clsact discipline, by direction, handle and priority."""

    INGRESS: Final = 1
    EGRESS: Final = 2
    BOTH: Final = 3
    _REPLACE: Final = 1

    def __init__(self, ifindex: int, direction: int, handle: int = 1, priority: int = 1) -> None:
        """Name the place; nothing is done yet."""
        self._hook = _TcHook(size=ctypes.sizeof(_TcHook), ifindex=ifindex, attach_point=direction)
        self._handle, self._priority = handle, priority

    def attach(self, program_fd: int) -> bool:
        """Put the program here; whether the discipline had to be added for it."""
        hook = ctypes.byref(self._hook)
        added = call(
            "cannot add the clsact discipline",
            "bpf_tc_hook_create",
            hook,
            tolerated=(errno.EEXIST,),
        )
        options = self._options()
        options.program_fd, options.flags = program_fd, self._REPLACE
        call("cannot attach a filter", "bpf_tc_attach", hook, ctypes.byref(options))
        return added == 0

    def program(self) -> int | None:
        """Return the identifier of the program here, or None."""
        options = self._options()
        result = call(
            "cannot ask for filters",
            "bpf_tc_query",
            ctypes.byref(self._hook),
            ctypes.byref(options),
            tolerated=(errno.ENOENT, errno.EINVAL, errno.ENODEV, errno.EOPNOTSUPP),
        )
        return int(options.program_id) if result == 0 else None

    def detach(self) -> None:
        """Take the program away."""
        options = self._options()
        call(
            "cannot detach a filter",
            "bpf_tc_detach",
            ctypes.byref(self._hook),
            ctypes.byref(options),
        )

    def _options(self) -> _TcOptions:
        return _TcOptions(
            size=ctypes.sizeof(_TcOptions), handle=self._handle, priority=self._priority
        )


def remove_clsact(ifindex: int) -> None:
    """Remove the clsact discipline of an interface with all its filters."""
    hook = _TcHook(size=ctypes.sizeof(_TcHook), ifindex=ifindex, attach_point=ClsactFilter.BOTH)
    call(
        "cannot remove the clsact discipline",
        "bpf_tc_hook_destroy",
        ctypes.byref(hook),
        tolerated=(errno.ENOENT, errno.EINVAL, errno.ENODEV),
    )
