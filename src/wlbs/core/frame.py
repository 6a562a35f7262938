# SPDX-License-Identifier: Apache-2.0
"""The bytes of a frame, turned into what the filter may look at: the only parser in Python.

Knows Ethernet, ARP (RFC 826), IPv4 (RFC 791), TCP, UDP and ICMP headers, and how far each may be
trusted. Knows nothing of clusters: whether a frame concerns one is for `filter` and `guard`.

`parse` never fails. A header that cannot be what it claims is a value (`Malformed`), because what
arrives from the wire is a fact to be counted, not an error to be raised. The eBPF twin is
``datapath/bpf/parse.h``; both look at the same bytes in the same order and at no others.
"""

from dataclasses import dataclass
from enum import IntEnum, IntFlag, unique
from functools import lru_cache
from typing import Final

from wlbs.core.address import MAC_SIZE, IpAddress, Mac

ETHERNET_SIZE: Final = 14
ARP_SIZE: Final = 28
"""An ARP body for Ethernet and IPv4 (RFC 826)."""
ARP_SENDER_MAC_AT: Final = ETHERNET_SIZE + 8
IPV4_SIZE_MIN: Final = 20
IPV4_TTL_AT: Final = ETHERNET_SIZE + 8
IPV4_CHECKSUM_AT: Final = ETHERNET_SIZE + 10
IPV6_SIZE: Final = 40
ICMP6_AT: Final = ETHERNET_SIZE + IPV6_SIZE
ICMP6_CHECKSUM_AT: Final = ICMP6_AT + 2
TCP_SIZE_MIN: Final = 20
UDP_SIZE: Final = 8
ICMP_SIZE: Final = 8
ARP_PREFIX: Final = bytes.fromhex("0001080006 04")
"""Hardware type Ethernet, protocol type IPv4, lengths 6 and 4: the only ARP we speak."""

FRAGMENT_OFFSET_MASK: Final = 0x1FFF
MORE_FRAGMENTS: Final = 0x2000


@unique
class EtherType(IntEnum):
    """The ethertypes the filter tells apart; every other is 'not served'."""

    IPV4 = 0x0800
    ARP = 0x0806
    VLAN = 0x8100
    IPV6 = 0x86DD
    HEARTBEAT = 0x886F
    """Microsoft NLB heartbeats (KB Q232711), and ours."""
    SERVICE_VLAN = 0x88A8


@unique
class IpProtocol(IntEnum):
    """The protocols whose headers are looked into."""

    ICMP = 1
    TCP = 6
    UDP = 17
    ICMP6 = 58


class TcpFlags(IntFlag):
    """The TCP flags the filter acts on (RFC 9293, section 3.1)."""

    SYN = 0x02
    RST = 0x04
    ACK = 0x10


_SYN_AND_ACK: Final = TcpFlags.SYN | TcpFlags.ACK
_FLAGS_READ: Final = int(_SYN_AND_ACK | TcpFlags.RST)
"""Made once: operations on enumerations cost more than the rest of the parser together."""


@unique
class Part(IntEnum):
    """The header that was malformed."""

    ETHERNET = 0
    ARP = 1
    IPV4 = 2


@dataclass(frozen=True, slots=True)
class Malformed:
    """A header that cannot be what its frame says it is."""

    part: Part


@dataclass(frozen=True, slots=True)
class Arp:
    """An ARP body for Ethernet and IPv4."""

    operation: int
    sender_mac: Mac
    sender_ip: IpAddress
    target_mac: Mac
    target_ip: IpAddress


ARP_REQUEST: Final = 1
ARP_ANSWER: Final = 2


@dataclass(frozen=True, slots=True)
class Segment:
    """What the filter may know of a TCP segment."""

    source_port: int
    destination_port: int
    sequence: int
    acknowledgement: int
    flags: TcpFlags

    @property
    def is_bare_syn(self) -> bool:
        """Whether this opens a connection: SYN without ACK."""
        return self.flags & _SYN_AND_ACK == TcpFlags.SYN


@dataclass(frozen=True, slots=True)
class Datagram:
    """What the filter may know of a UDP datagram."""

    source_port: int
    destination_port: int
    payload: bytes | None = b""
    """As much as the header's own length says; None where the packet has no room for that."""


@dataclass(frozen=True, slots=True)
class IcmpMessage:
    """What the filter may know of an ICMP message."""

    kind: int
    code: int


@dataclass(frozen=True, slots=True)
class Packet:
    """An IP packet: addresses, protocol, and the transport header if it has one to look into.

    ``transport`` is None for a later fragment, for a protocol the filter does not look into, and
    where the transport header is malformed; ``is_later_fragment`` and ``is_malformed`` tell which.
    """

    source: IpAddress
    destination: IpAddress
    protocol: int
    is_later_fragment: bool = False
    is_first_fragment: bool = False
    is_malformed: bool = False
    transport: Segment | Datagram | IcmpMessage | None = None
    ttl: int = 64
    """How many hops it has left; 64 is what most begin with (RFC 1700)."""


@dataclass(frozen=True, slots=True)
class Frame:
    """An Ethernet frame; ``payload`` is None where its ethertype is not looked into."""

    destination: Mac
    source: Mac
    ethertype: int
    payload: Arp | Packet | Malformed | None

    @property
    def is_tagged(self) -> bool:
        """Whether the frame carries an 802.1Q or 802.1ad tag."""
        return self.ethertype in {EtherType.VLAN, EtherType.SERVICE_VLAN}


def parse(data: bytes) -> Frame | Malformed:
    """Read a frame; what cannot be read is said in the result, and nothing is raised."""
    return _read(data)


_NEIGHBOUR_OPTIONS_AT: Final = {133: 8, 134: 16, 135: 24, 136: 24}
"""Router and neighbour solicitations, advertisements: where options begin (RFC 4861, 4)."""
_LINK_LAYER_OPTIONS: Final = frozenset({1, 2})
"""The link-layer address of the source, or of the target (RFC 4861, 4.6.1)."""
NEIGHBOUR_OPTION_COUNT_MAX: Final = 4
"""As many options are looked at; Linux sends two at most."""
_OPTION_UNIT: Final = 8


def neighbour_options(data: bytes) -> tuple[int, ...]:
    """Return where a frame of IPv6 neighbour discovery names a hardware address of its sender.

    Neighbour discovery has no extension headers to look behind: RFC 4861 knows none, and with a
    fragment header it is refused (RFC 6980).
    """
    if len(data) < ICMP6_AT + 1 or data[ETHERNET_SIZE] >> 4 != 6:  # noqa: PLR2004 - the version
        return ()
    if data[ETHERNET_SIZE + 6] != IpProtocol.ICMP6 or data[ICMP6_AT] not in _NEIGHBOUR_OPTIONS_AT:
        return ()
    at, found = ICMP6_AT + _NEIGHBOUR_OPTIONS_AT[data[ICMP6_AT]], []
    for _ in range(NEIGHBOUR_OPTION_COUNT_MAX):
        if at + _OPTION_UNIT > len(data) or not data[at + 1]:
            break
        if data[at] in _LINK_LAYER_OPTIONS:
            found.append(at + 2)
        at += data[at + 1] * _OPTION_UNIT
    return tuple(found)


# A frame that is flooded is decided by every host, and looked at by every judge: the same octets.
@lru_cache(maxsize=64)
def _read(data: bytes) -> Frame | Malformed:
    if len(data) < ETHERNET_SIZE:
        return Malformed(Part.ETHERNET)
    destination = Mac(data[:MAC_SIZE])
    source = Mac(data[MAC_SIZE : 2 * MAC_SIZE])
    ethertype = _number(data, 12, 2)
    payload: Arp | Packet | Malformed | None = None
    if ethertype == EtherType.ARP:
        payload = _parse_arp(data[ETHERNET_SIZE:])
    elif ethertype == EtherType.IPV4:
        payload = _parse_ipv4(data[ETHERNET_SIZE:])
    return Frame(destination, source, ethertype, payload)


def _parse_arp(body: bytes) -> Arp | Malformed:
    if len(body) < ARP_SIZE or body[: len(ARP_PREFIX)] != ARP_PREFIX:
        return Malformed(Part.ARP)
    return Arp(
        operation=_number(body, 6, 2),
        sender_mac=Mac(body[8:14]),
        sender_ip=IpAddress.from_v4(_number(body, 14, 4)),
        target_mac=Mac(body[18:24]),
        target_ip=IpAddress.from_v4(_number(body, 24, 4)),
    )


def _parse_ipv4(body: bytes) -> Packet | Malformed:
    """Read an IPv4 header; the total length bounds what follows, the frame's own end too.

    A frame shorter than its total length is left to the stack, which drops it: in XDP the rest may
    lie in fragments of the buffer that the program does not see.
    """
    if len(body) < IPV4_SIZE_MIN or body[0] >> 4 != 4:  # noqa: PLR2004 - the version field
        return Malformed(Part.IPV4)
    header_size = (body[0] & 0x0F) * 4
    total_size = _number(body, 2, 2)
    if header_size < IPV4_SIZE_MIN or total_size < header_size or len(body) < header_size:
        return Malformed(Part.IPV4)
    source = IpAddress.from_v4(_number(body, 12, 4))
    destination = IpAddress.from_v4(_number(body, 16, 4))
    protocol = body[9]
    fragment = _number(body, 6, 2)
    if fragment & FRAGMENT_OFFSET_MASK:
        return Packet(source, destination, protocol, is_later_fragment=True, ttl=body[8])
    is_malformed, transport = _parse_transport(protocol, body[header_size:total_size])
    return Packet(
        source,
        destination,
        protocol,
        is_first_fragment=bool(fragment & MORE_FRAGMENTS),
        is_malformed=is_malformed,
        transport=transport,
        ttl=body[8],
    )


def _parse_transport(  # noqa: PLR0911 - two returns for each protocol: malformed or not
    protocol: int, rest: bytes
) -> tuple[bool, Segment | Datagram | IcmpMessage | None]:
    """Read the transport header: (is it malformed, what it says)."""
    match protocol:
        case IpProtocol.TCP:
            # A data offset below five words cannot hold the header itself (RFC 9293, 3.1).
            if len(rest) < TCP_SIZE_MIN or rest[12] >> 4 < TCP_SIZE_MIN // 4:
                return True, None
            return False, Segment(
                source_port=_number(rest, 0, 2),
                destination_port=_number(rest, 2, 2),
                sequence=_number(rest, 4, 4),
                acknowledgement=_number(rest, 8, 4),
                flags=TcpFlags(rest[13] & _FLAGS_READ),
            )
        case IpProtocol.UDP:
            if len(rest) < UDP_SIZE:
                return True, None
            size = _number(rest, 4, 2)
            payload = rest[UDP_SIZE:size] if UDP_SIZE <= size <= len(rest) else None
            return False, Datagram(_number(rest, 0, 2), _number(rest, 2, 2), payload)
        case IpProtocol.ICMP:
            if len(rest) < ICMP_SIZE:
                return True, None
            return False, IcmpMessage(rest[0], rest[1])
        case _:
            return False, None


def _number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "big")
