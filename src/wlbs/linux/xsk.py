# SPDX-License-Identifier: Apache-2.0
"""A socket of AF_XDP that only sends, in copy mode: the shortest way out of an interface.

Knows the part of Documentation/networking/af_xdp.rst that sending needs: memory shared with the
kernel, a ring of what is to be sent, a ring of what has been. Frames pass neither the queueing
discipline nor the egress programs. Works on any device; needs no program of its own. Knows nothing
of what a frame says.
"""

import ctypes
import errno
import mmap
import os
import socket
import struct
import time
from typing import Final

from wlbs.linux.error import LinuxError
from wlbs.linux.outlet import PASSING

CHUNK_SIZE: Final = 2048
"""The least the kernel allows (XDP_UMEM_MIN_CHUNK_SIZE); more than a frame of ours."""
CHUNK_COUNT: Final = 16
"""Frames under way at once; a power of two, because it is the rings' size too."""
RELEASE_S_MAX: Final = 0.5
"""A queue is free again some milliseconds after its socket was closed: the kernel waits until no
processor uses it any more (xp_put_pool of net/xdp/xsk_buff_pool.c)."""

_AF_XDP: Final = 44
_SOL_XDP: Final = 283
_MMAP_OFFSETS: Final = 1
_TX_RING: Final = 3
_UMEM_REG: Final = 4
_FILL_RING: Final = 5
_COMPLETION_RING: Final = 6
_COPY: Final = 1 << 1
"""Numbers of <linux/if_xdp.h>."""
_TX_RING_AT: Final = 0x80000000
_COMPLETION_RING_AT: Final = 0x180000000

_REGISTRATION: Final = struct.Struct("=QQIIII")
_OFFSETS: Final = struct.Struct("=16Q")
"""Of producer, consumer, entries and flags; in each ring: receive, send, fill, complete."""
_SEND: Final = slice(4, 7)
_COMPLETE: Final = slice(12, 15)
_DESCRIPTOR: Final = struct.Struct("=QII")
_ADDRESS: Final = struct.Struct("=Q")
_INDEX: Final = struct.Struct("=I")
_SOCKET_ADDRESS: Final = struct.Struct("=HHIII")
_WORD: Final = 0xFFFFFFFF


class _Ring:
    """One ring that is shared with the kernel; indices run on and wrap at 32 bits."""

    def __init__(self, descriptor: int, at: int, offsets: tuple[int, ...], entry_size: int) -> None:
        self._producer, self._consumer, self._entries = offsets
        self._entry_size = entry_size
        size = self._entries + CHUNK_COUNT * entry_size
        self._memory = mmap.mmap(descriptor, size, flags=mmap.MAP_SHARED, offset=at)

    def put(self, entry: bytes) -> None:
        """Add an entry; the caller knows that there is room."""
        producer = self._read(self._producer)
        at = self._entry_at(producer)
        self._memory[at : at + self._entry_size] = entry
        self._write(self._producer, producer + 1)

    def take(self) -> bytes | None:
        """Return the next entry of the kernel's, or None."""
        consumer = self._read(self._consumer)
        if consumer == self._read(self._producer):
            return None
        at = self._entry_at(consumer)
        entry = self._memory[at : at + self._entry_size]
        self._write(self._consumer, consumer + 1)
        return entry

    def close(self) -> None:
        self._memory.close()

    def _entry_at(self, index: int) -> int:
        return self._entries + index % CHUNK_COUNT * self._entry_size

    def _read(self, at: int) -> int:
        return int(_INDEX.unpack_from(self._memory, at)[0])

    def _write(self, at: int, index: int) -> None:
        _INDEX.pack_into(self._memory, at, index & _WORD)


class XdpOutlet:
    """One interface's first queue, to send by; never blocks."""

    def __init__(self, interface: str) -> None:
        """Open it; LinuxError without the privilege, or if another such socket has the queue."""
        self._memory = mmap.mmap(-1, CHUNK_SIZE * CHUNK_COUNT)
        self._free = [CHUNK_SIZE * number for number in range(CHUNK_COUNT)]
        self._rings: list[_Ring] = []
        try:
            kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
            self._socket = socket.socket(_AF_XDP, kind, 0)
        except OSError as error:
            self._memory.close()
            raise _refused(interface, error.errno) from error
        try:
            self._share()
            self._map()
            _bind(self._socket.fileno(), socket.if_nametoindex(interface))
        except OSError as error:
            self.close()
            raise _refused(interface, error.errno) from error

    def send(self, frame: bytes) -> bool:
        """Send a frame as it is; False if the link is down or full."""
        while (done := self._completed.take()) is not None:
            self._free.append(_ADDRESS.unpack(done)[0])
        if not self._free or len(frame) > CHUNK_SIZE:
            return False
        at = self._free.pop()
        self._memory[at : at + len(frame)] = frame
        self._to_send.put(_DESCRIPTOR.pack(at, len(frame), 0))
        try:
            # Nothing to send but what is in the ring. In copy mode the kernel takes it in this very
            # call, so that the order of our writes needs no barrier of its own.
            self._socket.send(b"", socket.MSG_DONTWAIT)
        except OSError as error:
            if error.errno not in PASSING | {errno.EBUSY}:
                raise
            return False
        return True

    def close(self) -> None:
        """Close it; what is under way still leaves."""
        self._socket.close()
        for ring in self._rings:
            ring.close()
        self._memory.close()

    def _share(self) -> None:
        """Give the kernel the memory in which frames are laid."""
        view = ctypes.c_char.from_buffer(self._memory)
        registration = _REGISTRATION.pack(
            ctypes.addressof(view), len(self._memory), CHUNK_SIZE, 0, 0, 0
        )
        self._socket.setsockopt(_SOL_XDP, _UMEM_REG, registration)

    def _map(self) -> None:
        # The kernel wants a fill ring from everybody, although only receiving uses it.
        for ring in (_FILL_RING, _COMPLETION_RING, _TX_RING):
            self._socket.setsockopt(_SOL_XDP, ring, _INDEX.pack(CHUNK_COUNT))
        offsets = _OFFSETS.unpack(self._socket.getsockopt(_SOL_XDP, _MMAP_OFFSETS, _OFFSETS.size))
        descriptor = self._socket.fileno()
        self._to_send = _Ring(descriptor, _TX_RING_AT, offsets[_SEND], _DESCRIPTOR.size)
        self._rings.append(self._to_send)
        self._completed = _Ring(descriptor, _COMPLETION_RING_AT, offsets[_COMPLETE], _ADDRESS.size)
        self._rings.append(self._completed)


def _bind(descriptor: int, index: int) -> None:
    """Bind by libc: Python's sockets know no address of this family."""
    libc = ctypes.CDLL(None, use_errno=True)
    address = _SOCKET_ADDRESS.pack(_AF_XDP, _COPY, index, 0, 0)
    deadline = time.monotonic() + RELEASE_S_MAX
    while libc.bind(descriptor, address, len(address)) != 0:
        number = ctypes.get_errno()
        if number != errno.EBUSY or time.monotonic() > deadline:
            raise OSError(number, os.strerror(number))
        time.sleep(RELEASE_S_MAX / 50)


def _refused(interface: str, number: int | None) -> LinuxError:
    what = f"cannot open an AF_XDP socket on {interface}: {os.strerror(number or 0)}"
    if number == errno.EBUSY:
        return LinuxError(what, "another program sends there by AF_XDP; use --via packet")
    return LinuxError(what, "run as root, or use --via packet")
