# SPDX-License-Identifier: Apache-2.0
"""IGMP version 2 (RFC 2236): a host's groups, and the frames by which a switch learns of them.

A host says that it has joined, says it again when a querier asks, and says that it has left. Knows
messages and their times. Knows nothing of what is sent to a group.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum, unique
from typing import Final

from wlbs.core.address import IpAddress, Mac
from wlbs.core.frame import ETHERNET_SIZE, EtherType, Frame, Packet, parse
from wlbs.scenario.topology import Node
from wlbs.sim.frames import checksum, ethernet
from wlbs.sim.prng import Prng
from wlbs.sim.schedule import NS_PER_S, Schedule

IGMP: Final = 2
"""The protocol's number (RFC 2236, 2)."""
ALL_SYSTEMS: Final = IpAddress.parse("224.0.0.1")
ALL_ROUTERS: Final = IpAddress.parse("224.0.0.2")

QUERY_INTERVAL_NS: Final = 125 * NS_PER_S
RESPONSE_NS_MAX: Final = 10 * NS_PER_S
MEMBERSHIP_NS: Final = 2 * QUERY_INTERVAL_NS + RESPONSE_NS_MAX
"""RFC 2236, 8.2 to 8.4: a member that answers neither of two queries is none any more."""

_TENTHS: Final = NS_PER_S // 10
_UNSPECIFIED: Final = IpAddress.parse("0.0.0.0")  # noqa: S104 - what a querier without an address sends from
_ROUTER_ALERT: Final = bytes.fromhex("94040000")
"""RFC 2113; with it an IPv4 header has six words."""
_HEADER: Final = struct.Struct("!BBHHHBBH4s4s")
_VERSION_AND_SIZE: Final = 0x46
_BODY_SIZE: Final = 8


@unique
class Kind(IntEnum):
    """The messages of version 2."""

    QUERY = 0x11
    REPORT = 0x16
    LEAVE = 0x17


@dataclass(frozen=True, slots=True)
class Message:
    """One message; a general query is about no group."""

    kind: Kind
    group: IpAddress


def group_mac(group: IpAddress) -> Mac:
    """Return the address of frames to a group: its lower 23 bits (RFC 1112, 6.4)."""
    return Mac(b"\x01\x00\x5e" + (group.v4 & 0x7FFFFF).to_bytes(3, "big"))


def query(source: Mac) -> bytes:
    """Return the frame of a general query."""
    return _frame(source, (_UNSPECIFIED, ALL_SYSTEMS), Message(Kind.QUERY, _UNSPECIFIED))


def read(data: bytes) -> Message | None:
    """Return the message in a frame, if there is one that a host or a switch acts on."""
    frame = parse(data)
    packet = frame.payload if isinstance(frame, Frame) else None
    if not isinstance(packet, Packet) or packet.protocol != IGMP:
        return None
    body = data[ETHERNET_SIZE + (data[ETHERNET_SIZE] & 0x0F) * 4 :][:_BODY_SIZE]
    if len(body) < _BODY_SIZE or checksum(body) or body[0] not in set(Kind):
        return None
    return Message(Kind(body[0]), IpAddress.from_v4(int.from_bytes(body[4:], "big")))


class Groups:
    """The groups that one node has joined."""

    def __init__(
        self, schedule: Schedule, prng: Prng, node: Node, transmit: Callable[[bytes], None]
    ) -> None:
        """Have joined none."""
        self._schedule = schedule
        self._prng = prng
        self._node = node
        self._transmit = transmit
        self._joined: list[IpAddress] = []

    def join(self, group: IpAddress) -> None:
        """Join a group, and say so."""
        if group not in self._joined:
            self._joined.append(group)
            self._report(group)

    def leave(self, group: IpAddress) -> None:
        """Leave a group, and say so."""
        if group in self._joined:
            self._joined.remove(group)
            self._send(ALL_ROUTERS, Message(Kind.LEAVE, group))

    def receive(self, data: bytes) -> bool:
        """Take a frame if it is of IGMP; a query is answered, each group after a drawn while."""
        message = read(data)
        if message is not None and message.kind is Kind.QUERY:
            for group in self._joined:
                delay_ns = self._prng.between(0, RESPONSE_NS_MAX)
                self._schedule.after(delay_ns, lambda group=group: self._report(group))  # type: ignore[misc]
        return message is not None

    def _report(self, group: IpAddress) -> None:
        if group in self._joined:
            self._send(group, Message(Kind.REPORT, group))

    def _send(self, to: IpAddress, message: Message) -> None:
        self._transmit(_frame(self._node.mac, (self._node.address, to), message))


def _frame(source: Mac, ends: tuple[IpAddress, IpAddress], message: Message) -> bytes:
    response = RESPONSE_NS_MAX // _TENTHS if message.kind is Kind.QUERY else 0
    body = bytes((message.kind, response, 0, 0)) + message.group.v4.to_bytes(4, "big")
    body = body[:2] + checksum(body).to_bytes(2, "big") + body[4:]
    own, peer = (each.v4.to_bytes(4, "big") for each in ends)
    size = _HEADER.size + len(_ROUTER_ALERT) + len(body)
    # A message never leaves its segment: the time to live is one (RFC 2236, 2).
    head = _HEADER.pack(_VERSION_AND_SIZE, 0, size, 0, 0, 1, IGMP, 0, own, peer) + _ROUTER_ALERT
    head = head[:10] + checksum(head).to_bytes(2, "big") + head[12:]
    return ethernet(group_mac(ends[1]), source, EtherType.IPV4, head + body)
