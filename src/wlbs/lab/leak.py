# SPDX-License-Identifier: Apache-2.0
"""A program of its own: sends one raw broadcast frame with a given source.

Run inside a namespace as ``python -m wlbs.lab.leak INTERFACE MAC``. It stands for any program on a
host that knows no better; what it sends passes the egress guard like everything sent by AF_PACKET.
"""

import socket
import sys
from typing import Final

from wlbs.core.address import BROADCAST, Mac

EXPERIMENTAL: Final = 0x88B5
"""An ethertype for local experiments (IEEE 802, 9.2.4): nobody answers it."""

PAYLOAD: Final = b"wlbs lab: a frame with a source that is not its sender's"
SIZE_MIN: Final = 64
"""Switches may drop what is shorter (IEEE 802.3, 3.2.7), with four octets of checksum left out."""


def send(interface: str, source: Mac, payload: bytes = PAYLOAD) -> None:
    """Send one frame."""
    header = BROADCAST.octets + source.octets + EXPERIMENTAL.to_bytes(2, "big")
    frame = (header + payload).ljust(SIZE_MIN, b"\0")
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind((interface, 0))
        raw.send(frame)


if __name__ == "__main__":
    send(sys.argv[1], Mac.parse(sys.argv[2]))
