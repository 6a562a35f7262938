# SPDX-License-Identifier: Apache-2.0
"""Every frame of one interface, as packet(7) shows them: whole, with their time and direction.

Knows AF_PACKET, and what it takes out of a frame (the VLAN tag) and gives back beside it. What
comes in has passed the ingress programs of XDP; what goes out has passed those of traffic control.
Knows nothing of what a frame says.
"""

import ctypes
import socket
import struct
from dataclasses import dataclass
from typing import Final

from wlbs.core.address import MAC_SIZE
from wlbs.linux.clock import calendar_ns
from wlbs.linux.error import LinuxError

FRAME_SIZE_MAX: Final = 1 << 18
"""More than the kernel puts into one packet, even of many segments."""

_SOL_PACKET: Final = 263
_ADD_MEMBERSHIP: Final = 1
_STATISTICS: Final = 6
_AUXDATA: Final = 8
_MR_PROMISC: Final = 1
_SO_TIMESTAMPNS: Final = 35
_SO_ATTACH_FILTER: Final = 26
_ETH_P_ALL: Final = 3
"""Numbers of <linux/if_packet.h>, <linux/if_ether.h> and <asm-generic/socket.h>."""

_MEMBERSHIP: Final = struct.Struct("=iHH8s")
_AUX: Final = struct.Struct("=IIIHHHH")
_TIME: Final = struct.Struct("=qq")
_COUNTS: Final = struct.Struct("=II")
_VLAN_VALID: Final = 1 << 4
_VLAN_TPID_VALID: Final = 1 << 6
_TPID: Final = 0x8100
_NS_PER_S: Final = 1_000_000_000
_ANCILLARY_SIZE: Final = socket.CMSG_SPACE(_AUX.size) + socket.CMSG_SPACE(_TIME.size)

_RECEIVE_BUFFER_SIZE: Final = 4 << 20
"""Thousands of frames, for a reader that is late by some milliseconds."""
_SO_RCVBUFFORCE: Final = 33

_PACKET_TYPE: Final = 0xFFFFF000 + 4
"""SKF_AD_OFF + SKF_AD_PKTTYPE of <linux/filter.h>: where a filter reads whose a frame is."""
_ONLY_OUTGOING: Final = b"".join(
    struct.pack("=HBBI", *instruction)
    for instruction in (
        (0x30, 0, 0, _PACKET_TYPE),  # load it
        (0x15, 0, 1, 4),  # PACKET_OUTGOING
        (0x06, 0, 0, 0xFFFFFFFF),  # keep all of it
        (0x06, 0, 0, 0),  # or nothing
    )
)


@dataclass(frozen=True, slots=True)
class Captured:
    """One frame, whole, with its tag in place (UNIX time)."""

    at_ns: int
    data: bytes
    is_outgoing: bool


class CaptureSocket:
    """Everything one interface receives and sends; never blocks."""

    def __init__(self, interface: str, *, only_outgoing: bool = False) -> None:
        """Begin; LinuxError without the privilege or the interface."""
        self._socket = open_packet_socket(interface, 0)
        self._lost_count = 0
        self._socket.setsockopt(_SOL_PACKET, _AUXDATA, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER_SIZE)
        if only_outgoing:
            self._filter(_ONLY_OUTGOING)
        self._socket.bind((interface, _ETH_P_ALL))
        self._index = socket.if_nametoindex(interface)

    def hear_everybody(self) -> None:
        """Make the interface promiscuous, until `close`."""
        membership = _MEMBERSHIP.pack(self._index, _MR_PROMISC, 0, bytes(8))
        self._socket.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, membership)

    def fileno(self) -> int:
        """Return the descriptor, for an event loop."""
        return self._socket.fileno()

    def receive(self) -> Captured | None:
        """Return the next frame, or None if there is none now."""
        try:
            data, beside, _, address = self._socket.recvmsg(FRAME_SIZE_MAX, _ANCILLARY_SIZE)
        except BlockingIOError:
            return None
        except OSError:
            return None  # the link went down: one error is pending, and frames will come again
        at_ns, tag = calendar_ns(), b""
        for level, kind, value in beside:
            if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
                seconds, nanoseconds = _TIME.unpack(value)
                at_ns = seconds * _NS_PER_S + nanoseconds
            elif (level, kind) == (_SOL_PACKET, _AUXDATA):
                tag = _tag(value)
        at = 2 * MAC_SIZE
        is_outgoing = address[2] == socket.PACKET_OUTGOING
        return Captured(at_ns, data[:at] + tag + data[at:], is_outgoing)

    def lost_count(self) -> int:
        """Return how many frames came too fast to be handed over since the beginning."""
        counts = self._socket.getsockopt(_SOL_PACKET, _STATISTICS, _COUNTS.size)
        self._lost_count += _COUNTS.unpack(counts)[1]  # asking resets it
        return self._lost_count

    def close(self) -> None:
        """Close it; what was joined is left."""
        self._socket.close()

    def _filter(self, program: bytes) -> None:
        buffer = ctypes.create_string_buffer(program, len(program))
        described = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, described)


def open_packet_socket(interface: str, ethertype: int) -> socket.socket:
    """Return a raw socket bound to an interface; with ethertype 0 it receives nothing."""
    kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    opened = None
    try:
        opened = socket.socket(socket.AF_PACKET, kind, 0)
        opened.bind((interface, ethertype))
    except OSError as error:
        if opened is not None:
            opened.close()
        what = f"cannot open a raw socket on {interface}: {error.strerror}"
        raise LinuxError(what, "run as root, or with CAP_NET_RAW") from error
    return opened


def _tag(auxiliary: bytes) -> bytes:
    """Return the VLAN tag that the kernel took out of a frame; nothing if it had none."""
    status, _, _, _, _, control, protocol = _AUX.unpack(auxiliary)
    if not status & _VLAN_VALID:
        return b""
    return struct.pack(">HH", protocol if status & _VLAN_TPID_VALID else _TPID, control)
