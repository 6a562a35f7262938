# SPDX-License-Identifier: Apache-2.0
"""Finds the processes that hold a socket which can send past the egress guard.

Knows two kinds: a packet socket (packet(7)) that was told so, and any socket of AF_XDP. The kernel
lists neither, but lets us take a copy of a process's descriptor and ask that. Knows nothing of
whether anything was sent.

Looks at every descriptor of every process, so it takes its time: 9 us for each here. What cannot be
looked at is passed over; without CAP_SYS_PTRACE that is whatever is not the caller's own.
"""

import ctypes
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from wlbs.core.sighting import Bypass, Bypasser, Sender

DESCRIPTORS_PER_PAUSE: Final = 128
"""A millisecond's worth, at worst 4 ms here: a member that is heard every 15 ms can wait for it."""

_PROC: Final = Path("/proc")
_PACKET_SOCKETS: Final = _PROC / "thread-self/net/packet"
_PROTOCOL: Final = "system.sockprotoname"
"""An attribute of every socket's file (net/socket.c)."""
_ANY_INTERFACE: Final = 0
_FAMILY: Final = {Bypass.PACKET: 17, Bypass.XDP: 44}
"""AF_PACKET and AF_XDP (include/linux/socket.h)."""

_PIDFD_GETFD: Final = 438
"""The number of the system call on every architecture; Linux 5.6."""
_SOL_PACKET: Final = 263
_PACKET_QDISC_BYPASS: Final = 20
_SO_COOKIE: Final = 57
_SO_NETNS_COOKIE: Final = 71
"""Linux 5.14."""
_COOKIE_SIZE: Final = 8


def find_bypassers(ifindex: int) -> Iterator[Bypasser | None]:
    """Yield whoever can send past the guard of an interface of the caller's namespace.

    A process is named once for each of its sockets, however many descriptors it has of it. Yields
    None now and then, so that whoever must not stand still can do something else in between.
    A packet socket counts if it is bound to the interface or to none. Of a socket of AF_XDP the
    kernel does not say to which it is bound: each in the namespace counts.
    """
    bound = _packet_sockets(ifindex)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
        here = own.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, _COOKIE_SIZE)
    processes = sorted(int(path.name) for path in _PROC.glob("[0-9]*"))
    looked_at = 0
    found = set()
    for process in processes:
        for descriptor, bypass in _candidates(process, bound):
            looked_at += 1
            if looked_at % DESCRIPTORS_PER_PAUSE == 0:
                yield None
            cookie = bypass and _ask(process, descriptor, bypass, here)
            if bypass and cookie:
                bypasser = Bypasser(Sender(_name(process), process, cookie), bypass)
                if bypasser not in found:
                    found.add(bypasser)
                    yield bypasser


def _packet_sockets(ifindex: int) -> frozenset[str]:
    """Return the packet sockets that send on the interface, as their links are spelled in /proc."""
    found = set()
    for line in _PACKET_SOCKETS.read_text("ascii").splitlines()[1:]:
        fields = line.split()
        # sk, references, type, protocol, interface, running, memory, user, inode
        if int(fields[4]) in {_ANY_INTERFACE, ifindex}:
            found.add(f"socket:[{fields[8]}]")
    return frozenset(found)


def _candidates(process: int, bound: frozenset[str]) -> Iterator[tuple[int, Bypass | None]]:
    """Yield each descriptor of a process, and what it may be."""
    # Not by pathlib, here and below: there may be tens of thousands.
    with suppress(OSError), os.scandir(f"{_PROC}/{process}/fd") as entries:
        for entry in entries:
            yield int(entry.name), _may_be(entry.path, bound)


def _may_be(path: str, bound: frozenset[str]) -> Bypass | None:
    with suppress(OSError):
        target = os.readlink(path)  # noqa: PTH115
        if target in bound:
            return Bypass.PACKET
        if target.startswith("socket:") and os.getxattr(path, _PROTOCOL) == b"XDP\0":
            return Bypass.XDP
    return None


def _ask(process: int, descriptor: int, bypass: Bypass, here: bytes) -> int | None:
    """Return the socket's cookie if it does bypass the guard of the caller's namespace."""
    try:
        with _copied(process, descriptor, _FAMILY[bypass]) as copied:
            if bypass is Bypass.PACKET:
                does = bool(copied.getsockopt(_SOL_PACKET, _PACKET_QDISC_BYPASS))
            else:
                there = copied.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, _COOKIE_SIZE)
                does = there == here
            cookie = copied.getsockopt(socket.SOL_SOCKET, _SO_COOKIE, _COOKIE_SIZE)
    except OSError:
        return None  # closed meanwhile, or not ours to look at
    return int.from_bytes(cookie, "little") if does else None


def _copied(process: int, descriptor: int, family: int) -> socket.socket:
    libc = ctypes.CDLL(None, use_errno=True)
    handle = os.pidfd_open(process)
    try:
        copied = libc.syscall(_PIDFD_GETFD, handle, descriptor, 0)
    finally:
        os.close(handle)
    if copied < 0:
        raise OSError(ctypes.get_errno(), "cannot copy a descriptor")
    # By name: a socket of AF_XDP does not say what it is bound to, by which Python would find out.
    return socket.socket(family, socket.SOCK_RAW, fileno=copied)


def _name(process: int) -> str:
    with suppress(OSError):
        return (_PROC / str(process) / "comm").read_text("utf-8", "replace").strip()
    return "a process that has ended"
