# SPDX-License-Identifier: Apache-2.0
"""Words to the service manager that started this process (sd_notify(3)).

Knows the protocol: one datagram to the socket named in NOTIFY_SOCKET. Without one, or when nobody
reads it, nothing happens: the service is no worse for it.
"""

import os
import socket
from contextlib import suppress


def notify(text: str) -> None:
    """Send the service manager a line such as ``READY=1``."""
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.connect(address)
        channel.send(text.encode("utf-8"))
