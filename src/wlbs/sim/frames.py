# SPDX-License-Identifier: Apache-2.0
"""Frames as they stand on the wire, checksums included: what simulated nodes send, and read.

Reading goes through the core's parser; only what the filter does not look at (payloads, FIN) is
read here. Knows Ethernet, ARP, IPv4, TCP and UDP; nothing of clusters or connections.
"""

import struct
from dataclasses import dataclass
from typing import Final

from wlbs.core.address import MAC_SIZE, NO_MAC, IpAddress, Mac
from wlbs.core.frame import (
    ARP_ANSWER,
    ARP_PREFIX,
    ARP_REQUEST,
    ETHERNET_SIZE,
    TCP_SIZE_MIN,
    UDP_SIZE,
    Datagram,
    IpProtocol,
    Packet,
    Segment,
)

FIN: Final = 0x01
SYN: Final = 0x02
RST: Final = 0x04
PSH: Final = 0x08
ACK: Final = 0x10
"""The TCP flags a simulated stack sends and reads (RFC 9293, 3.1)."""

TTL: Final = 64
"""Linux's default (net.ipv4.ip_default_ttl)."""
WINDOW: Final = 0xFFFF
"""What is announced; nothing simulated ever fills a window."""
_DONT_FRAGMENT: Final = 0x4000
_VERSION_AND_SIZE: Final = 0x45


@dataclass(frozen=True, slots=True)
class Path:
    """The two ends of a flow as one of them sees it."""

    own: IpAddress
    own_port: int
    peer: IpAddress
    peer_port: int

    @property
    def reversed(self) -> "Path":
        """The same flow as the other end sees it."""
        return Path(self.peer, self.peer_port, self.own, self.own_port)


@dataclass(frozen=True, slots=True)
class TcpSegment:
    """One segment; ``path`` is its sender's view."""

    path: Path
    sequence: int
    acknowledgement: int
    flags: int
    payload: bytes = b""

    @property
    def size(self) -> int:
        """How much of the sequence space it takes."""
        return len(self.payload) + bool(self.flags & SYN) + bool(self.flags & FIN)


def ethernet(destination: Mac, source: Mac, ethertype: int, payload: bytes) -> bytes:
    """Return a frame without padding, as veth carries them."""
    return destination.octets + source.octets + ethertype.to_bytes(2, "big") + payload


def is_for(mac: Mac, data: bytes) -> bool:
    """Whether a node with this address takes a frame: its own, or one to a group."""
    return data[:MAC_SIZE] == mac.octets or (bool(data) and data[0] & 1 == 1)


def arp_request(sender_mac: Mac, sender_ip: IpAddress, target_ip: IpAddress) -> bytes:
    """Return the body of a request (RFC 826)."""
    return _arp(ARP_REQUEST, sender_mac, sender_ip) + NO_MAC.octets + _v4(target_ip)


def arp_answer(
    sender_mac: Mac, sender_ip: IpAddress, target_mac: Mac, target_ip: IpAddress
) -> bytes:
    """Return the body of an answer (RFC 826)."""
    return _arp(ARP_ANSWER, sender_mac, sender_ip) + target_mac.octets + _v4(target_ip)


def ipv4(source: IpAddress, destination: IpAddress, protocol: int, payload: bytes) -> bytes:
    """Return a packet with a header of twenty octets."""
    size = 20 + len(payload)
    head = struct.pack("!BBHHHBBH", _VERSION_AND_SIZE, 0, size, 0, _DONT_FRAGMENT, TTL, protocol, 0)
    head += _v4(source) + _v4(destination)
    return head[:10] + checksum(head).to_bytes(2, "big") + head[12:] + payload


def tcp(segment: TcpSegment) -> bytes:
    """Return the IPv4 packet of a segment."""
    path = segment.path
    head = struct.pack(
        "!HHIIBBHHH",
        path.own_port,
        path.peer_port,
        segment.sequence,
        segment.acknowledgement,
        (TCP_SIZE_MIN // 4) << 4,
        segment.flags,
        WINDOW,
        0,
        0,
    )
    total = checksum(_pseudo_header(path, IpProtocol.TCP, head + segment.payload))
    body = head[:16] + total.to_bytes(2, "big") + head[18:] + segment.payload
    return ipv4(path.own, path.peer, IpProtocol.TCP, body)


def udp(path: Path, payload: bytes) -> bytes:
    """Return the IPv4 packet of a datagram."""
    size = UDP_SIZE + len(payload)
    head = struct.pack("!HHHH", path.own_port, path.peer_port, size, 0)
    # A sum of zero is sent as all ones, because zero says that there is none (RFC 768).
    total = checksum(_pseudo_header(path, IpProtocol.UDP, head + payload)) or 0xFFFF
    body = head[:6] + total.to_bytes(2, "big") + payload
    return ipv4(path.own, path.peer, IpProtocol.UDP, body)


def read_tcp(data: bytes, packet: Packet) -> TcpSegment | None:
    """Return the segment in a frame that the core's parser has read, if it is one."""
    known = packet.transport
    if not isinstance(known, Segment):
        return None
    at = _transport_at(data)
    return TcpSegment(
        path=Path(packet.source, known.source_port, packet.destination, known.destination_port),
        sequence=known.sequence,
        acknowledgement=known.acknowledgement,
        flags=data[at + 13],
        payload=data[at + (data[at + 12] >> 4) * 4 : _packet_end(data)],
    )


def read_udp(data: bytes, packet: Packet) -> tuple[Path, bytes] | None:
    """Return the datagram in a frame that the core's parser has read, if it is one."""
    known = packet.transport
    if not isinstance(known, Datagram):
        return None
    path = Path(packet.source, known.source_port, packet.destination, known.destination_port)
    return path, data[_transport_at(data) + UDP_SIZE : _packet_end(data)]


def forwarded(packet: bytes) -> bytes:
    """Return a packet as a router sends it on: its time to live is one less (RFC 1812, 5.3.1)."""
    head = packet[:8] + bytes((packet[8] - 1,)) + packet[9:10] + bytes(2) + packet[12:20]
    return head[:10] + checksum(head).to_bytes(2, "big") + packet[12:]


def checksum(data: bytes) -> int:
    """Return the internet checksum (RFC 1071)."""
    padded = data + b"\0" * (len(data) % 2)
    words: tuple[int, ...] = struct.unpack(f"!{len(padded) // 2}H", padded)
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _arp(operation: int, sender_mac: Mac, sender_ip: IpAddress) -> bytes:
    return ARP_PREFIX + operation.to_bytes(2, "big") + sender_mac.octets + _v4(sender_ip)


def _pseudo_header(path: Path, protocol: int, body: bytes) -> bytes:
    return _v4(path.own) + _v4(path.peer) + struct.pack("!HH", protocol, len(body)) + body


def _transport_at(data: bytes) -> int:
    return ETHERNET_SIZE + (data[ETHERNET_SIZE] & 0x0F) * 4


def _packet_end(data: bytes) -> int:
    return ETHERNET_SIZE + int.from_bytes(data[ETHERNET_SIZE + 2 : ETHERNET_SIZE + 4], "big")


def _v4(address: IpAddress) -> bytes:
    return address.v4.to_bytes(4, "big")
