# SPDX-License-Identifier: Apache-2.0
"""What the kernel says of programs that are loaded: their numbers, their names, where XDP runs one.

Knows how it is asked. Knows nothing of what a program does.
"""

import ctypes
import os
from typing import Final

from wlbs.linux.libbpf import call

_U32: Final = ctypes.c_uint32


class _ProgramInfo(ctypes.Structure):
    """The beginning of ``struct bpf_prog_info``, as far as the name."""

    _fields_ = (
        ("type", _U32),
        ("id", _U32),
        ("tag", ctypes.c_uint8 * 8),
        ("jited_size", _U32),
        ("translated_size", _U32),
        ("jited", ctypes.c_uint64),
        ("translated", ctypes.c_uint64),
        ("load_time", ctypes.c_uint64),
        ("uid", _U32),
        ("map_count", _U32),
        ("map_ids", ctypes.c_uint64),
        ("name", ctypes.c_char * 16),
    )


def xdp_program(ifindex: int) -> int | None:
    """Return the number of the XDP program on an interface, or None."""
    found = _U32(0)
    call("cannot ask for XDP programs", "bpf_xdp_query_id", ifindex, 0, ctypes.byref(found))
    return found.value or None


def program_name(number: int) -> str:
    """Return the name of a loaded program, for people."""
    descriptor = call("cannot open a program", "bpf_prog_get_fd_by_id", number)
    try:
        return str(_describe(descriptor).name.decode())
    finally:
        os.close(descriptor)


def program_id(program_fd: int) -> int:
    """Return the number by which the kernel names a program to everybody."""
    return int(_describe(program_fd).id)


def _describe(program_fd: int) -> _ProgramInfo:
    info, size = _ProgramInfo(), _U32(ctypes.sizeof(_ProgramInfo))
    out = (ctypes.byref(info), ctypes.byref(size))
    call("cannot ask for a program", "bpf_obj_get_info_by_fd", program_fd, *out)
    return info
