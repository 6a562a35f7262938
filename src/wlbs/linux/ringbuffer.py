# SPDX-License-Identifier: Apache-2.0
"""The reader's end of a ring buffer that eBPF programs write to, through libbpf.

Knows how records come out of it. Knows nothing of what is in one.
"""

import ctypes
import errno
from typing import Final

from wlbs.linux.libbpf import call, refused

_ON_RECORD: Final = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t
)

RECORDS_PER_TURN: Final = 1024
"""How many are read at once: a flood must not keep its reader from everything else."""


class RingBuffer:
    """One ring buffer of this process; never blocks."""

    def __init__(self, map_fd: int) -> None:
        """Map it into this process; LinuxError if the kernel refuses."""
        self._records: list[bytes] = []
        self._on_record = _ON_RECORD(self._take)  # kept: libbpf does not hold it for us
        what = "cannot read a ring buffer"
        self._handle = call(what, "ring_buffer__new", map_fd, self._on_record, None, None)
        if not self._handle:
            raise refused(what, ctypes.get_errno())

    def fileno(self) -> int:
        """Return the descriptor that is readable while there are records."""
        return call("cannot wait for a ring buffer", "ring_buffer__epoll_fd", self._handle)

    def read(self) -> list[bytes]:
        """Return the records there are now, in the order of their writing; of many, the first."""
        self._records = []
        what, function = "cannot read a ring buffer", "ring_buffer__consume"
        call(what, function, self._handle, tolerated=(errno.EAGAIN,))
        return self._records

    def close(self) -> None:
        """Unmap it."""
        if self._handle:
            call("cannot close a ring buffer", "ring_buffer__free", self._handle)
        self._handle = 0

    def _take(self, context: int | None, data: int, size: int) -> int:
        del context
        self._records.append(ctypes.string_at(data, size))
        return -errno.EAGAIN if len(self._records) == RECORDS_PER_TURN else 0
