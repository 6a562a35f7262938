# SPDX-License-Identifier: Apache-2.0
"""Which ports somebody listens on in the caller's network namespace.

Knows /proc/net and its columns (proc(5)). Knows nothing of who the listener is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wlbs.core.address import IpAddress
from wlbs.core.frame import IpProtocol

_NET: Final = Path("/proc/thread-self/net")
_LISTEN: Final = 0x0A
"""TCP_LISTEN of <net/tcp_states.h>."""
_UNCONNECTED: Final = 0x07
"""TCP_CLOSE: what an unconnected UDP socket shows."""

_FILES: Final = (
    ("tcp", IpProtocol.TCP, _LISTEN),
    ("tcp6", IpProtocol.TCP, _LISTEN),
    ("udp", IpProtocol.UDP, _UNCONNECTED),
    ("udp6", IpProtocol.UDP, _UNCONNECTED),
)


@dataclass(frozen=True, slots=True)
class Listener:
    """One listening socket; ``address`` None stands for every address of the host."""

    protocol: IpProtocol
    address: IpAddress | None
    port: int

    def serves(self, address: IpAddress, protocol: int, ports: range) -> bool:
        """Whether it takes what is sent to some port of these at this address."""
        return self.protocol == protocol and self.port in ports and self.address in {None, address}


def listeners() -> tuple[Listener, ...]:
    """Return all listening TCP and unconnected UDP sockets."""
    return tuple(each for name, protocol, state in _FILES for each in _read(name, protocol, state))


def _read(name: str, protocol: IpProtocol, wanted: int) -> Iterator[Listener]:
    path = _NET / name
    if not path.exists():
        return
    for line in path.read_text("ascii").splitlines()[1:]:
        fields = line.split()
        host, port = fields[1].split(":")
        if int(fields[3], 16) == wanted:
            yield Listener(protocol, _address(host), int(port, 16))


def _address(text: str) -> IpAddress | None:
    """Read an address whose 32-bit words stand in the machine's own byte order."""
    words = bytes.fromhex(text)
    octets = b"".join(
        int.from_bytes(words[at : at + 4], "little").to_bytes(4, "big")
        for at in range(0, len(words), 4)
    )
    value = int.from_bytes(octets, "big")
    if value == 0:
        return None
    return IpAddress.from_v4(value) if len(octets) == len(b"v4v4") else IpAddress(value)
