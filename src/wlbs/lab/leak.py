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

PAYLOAD: Final = b"wlbs lab: a frame with a source that is not its sender's".ljust(64, b"\0")


def send(interface: str, source: Mac) -> None:
    """Send one frame."""
    frame = BROADCAST.octets + source.octets + EXPERIMENTAL.to_bytes(2, "big") + PAYLOAD
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind((interface, 0))
        raw.send(frame)


if __name__ == "__main__":
    send(sys.argv[1], Mac.parse(sys.argv[2]))
