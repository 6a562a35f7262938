# SPDX-License-Identifier: Apache-2.0
"""What a frame is, in one line for people.

Knows what the core's parser knows, our own announcements, and a few names of ethertypes. Knows
nothing of verdicts, and nothing inside a protocol that the filter does not look into.
"""

from typing import Final

from wlbs.core.address import Mac
from wlbs.core.announcement import Announcement, Query, decode
from wlbs.core.frame import (
    ARP_REQUEST,
    Arp,
    Datagram,
    EtherType,
    Frame,
    IcmpMessage,
    IpProtocol,
    Malformed,
    Packet,
    Segment,
    TcpFlags,
    parse,
)

ETHERTYPE_MIN: Final = 0x0600
"""What is less is a length (IEEE 802.3, 3.2.6)."""
_NAMES: Final = {
    EtherType.VLAN: "802.1Q tag",
    EtherType.SERVICE_VLAN: "802.1ad tag",
    EtherType.HEARTBEAT: "heartbeat",
    0x86DD: "IPv6",
    0x88CC: "LLDP",
}


def addresses(data: bytes) -> tuple[Mac, Mac] | None:
    """Return source and destination of a frame; None if it is too short to have any."""
    frame = parse(data)
    return None if isinstance(frame, Malformed) else (frame.source, frame.destination)


def describe(data: bytes) -> str:
    """Say what a frame is; total over all bytes."""
    said = decode(data)
    match said:
        case Announcement():
            who = f"{said.user}@{said.machine} captures on {said.adapter}"
            return f"announcement: {who}, bound {said.bound}"
        case Query():
            return "query: who is capturing?"
    frame = parse(data)
    return "too short for a frame" if isinstance(frame, Malformed) else _frame(frame)


def _frame(frame: Frame) -> str:
    match frame.payload:
        case Malformed(part):
            return f"malformed {part.name}"
        case Arp():
            return _arp(frame.payload)
        case Packet():
            return _packet(frame.payload)
    if frame.ethertype < ETHERTYPE_MIN:
        return f"802.3 with LLC, {frame.ethertype} octets"
    return _NAMES.get(frame.ethertype, f"ethertype {frame.ethertype:#06x}")


def _arp(arp: Arp) -> str:
    if arp.operation == ARP_REQUEST:
        return f"ARP who has {arp.target_ip}? tell {arp.sender_ip}"
    return f"ARP {arp.sender_ip} is at {arp.sender_mac}"


def _packet(packet: Packet) -> str:
    between = f"{packet.source} > {packet.destination}"
    match packet.transport:
        case Segment() as segment:
            ports = _between(packet, segment.source_port, segment.destination_port)
            flags = ",".join(str(each.name) for each in TcpFlags if each in segment.flags)
            return f"TCP {ports} {flags}".rstrip()
        case Datagram() as datagram:
            return f"UDP {_between(packet, datagram.source_port, datagram.destination_port)}"
        case IcmpMessage() as message:
            return f"ICMP {between} type {message.kind} code {message.code}"
    if packet.is_later_fragment:
        return f"IPv4 {between} later fragment"
    known = {int(each): each.name for each in IpProtocol}
    name = known.get(packet.protocol, f"protocol {packet.protocol}")
    return f"IPv4 {between} {name}" + (", malformed" if packet.is_malformed else "")


def _between(packet: Packet, source_port: int, destination_port: int) -> str:
    return f"{packet.source}:{source_port} > {packet.destination}:{destination_port}"
