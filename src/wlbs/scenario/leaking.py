# SPDX-License-Identifier: Apache-2.0
"""The frames that steal the VMAC: each kind as octets, the same in every world.

All have the VMAC as their source, which no node may ever have, or the address that their sender's
interface has. Knows Ethernet and RARP (RFC 903); a monitor's announcement is the core's. Knows
nothing of who sends them or how.
"""

from typing import Final, assert_never

from wlbs.core.address import BROADCAST, Mac
from wlbs.core.announcement import Announcement, Bound, encode
from wlbs.scenario.steps import Leaked, SendFrom
from wlbs.scenario.topology import Topology

EXPERIMENTAL: Final = 0x88B5
"""An ethertype for local experiments (IEEE 802, 9.2.4): nobody answers it."""
RARP: Final = 0x8035
"""Reverse ARP (RFC 903)."""
PROGRAM: Final = "netmon"
"""How a program calls itself that sends from the VMAC: what an agent is to name."""

PAYLOAD: Final = b"wlbs: a frame with a source that is not its sender's"
SIZE_MIN: Final = 60
"""Switches may drop what is shorter (IEEE 802.3, 3.2.7: 64 octets with the checksum)."""

_RARP_HEAD: Final = bytes.fromhex("0001 0800 06 04 0003")
"""Ethernet, IPv4, their lengths, and the request: what is my address (RFC 903)."""
_USER: Final = "administrator"
_LONG_AGO_NS: Final = 0
"""When this has been capturing since: the same in every run."""
_NO_IP: Final = bytes(4)


def frame_of(order: SendFrom, topology: Topology, device: Mac | None = None) -> bytes:
    """Return the frame that a step sends again and again; ``device`` is the interface's address.

    Who does not know the interface leaves it out, and gets a frame from the VMAC.
    """
    source = topology.vmac if device is None or not order.as_device else device
    match order.kind:
        case Leaked.BROADCAST:
            return _frame(BROADCAST, source, EXPERIMENTAL, PAYLOAD)
        case Leaked.UNICAST:
            assert order.to is not None, "a unicast frame goes to somebody"
            return _frame(topology.node(order.to).mac, source, EXPERIMENTAL, PAYLOAD)
        case Leaked.ANNOUNCEMENT:
            said = Announcement(order.node, _USER, source, Bound.BELOW, _LONG_AGO_NS)
            return encode(said, source)
        case Leaked.RARP:
            body = _RARP_HEAD + (source.octets + _NO_IP) * 2
            return _frame(BROADCAST, source, RARP, body)
        case _:
            assert_never(order.kind)


def _frame(destination: Mac, source: Mac, kind: int, body: bytes) -> bytes:
    head = destination.octets + source.octets + kind.to_bytes(2, "big")
    return (head + body).ljust(SIZE_MIN, b"\0")
