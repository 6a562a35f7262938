# SPDX-License-Identifier: Apache-2.0
"""A program of its own: switches an interface's transmit checksum offload off.

Run inside a namespace as ``python -m wlbs.lab.offload INTERFACE``. Knows one ethtool request;
exists so that the lab needs no ethtool installed.
"""

import ctypes
import fcntl
import socket
import struct
import sys
from typing import Final

SIOCETHTOOL: Final = 0x8946
"""include/uapi/linux/sockios.h"""
ETHTOOL_STXCSUM: Final = 0x17
"""include/uapi/linux/ethtool.h; segmentation offloads follow, as they depend on it."""


def switch_off(interface: str) -> None:
    """Make the kernel finish every TCP and UDP checksum before the frame reaches the interface."""
    command = bytearray(struct.pack("=II", ETHTOOL_STXCSUM, 0))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        buffer = (ctypes.c_char * len(command)).from_buffer(command)
        request = struct.pack("16sP", interface.encode(), ctypes.addressof(buffer))
        fcntl.ioctl(door, SIOCETHTOOL, request)


if __name__ == "__main__":
    switch_off(sys.argv[1])
