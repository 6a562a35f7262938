# SPDX-License-Identifier: Apache-2.0
"""MAC and IP addresses as values, and the cluster's MAC addresses derived from its primary IP.

Knows how addresses are written and which hardware address a cluster has in each mode. Knows
nothing of frames, rules or interfaces.

Every IP address is 128 bits wide. IPv4 is held v4-mapped (``::ffff:a.b.c.d``, RFC 4291,
section 2.5.5.2), so that one code path, one map layout and one wire format serve both families.
"""

import ipaddress
from dataclasses import dataclass
from typing import Final

MAC_SIZE: Final = 6
IP_SIZE: Final = 16

V4_MAPPED_PREFIX: Final = 0xFFFF << 32
V4_MAX: Final = (1 << 32) - 1
IP_MAX: Final = (1 << 128) - 1

HOST_PRIORITY_MAX: Final = 64
"""Host priorities run from 1 to this number; NLB stops at 32 (KB Q193601), we do not."""


@dataclass(frozen=True, slots=True, order=True)
class Mac:
    """A 48-bit IEEE 802 MAC address."""

    octets: bytes

    def __post_init__(self) -> None:
        """Refuse anything that is not six octets: a programmer's error, not an operator's."""
        assert len(self.octets) == MAC_SIZE, f"a MAC has {MAC_SIZE} octets, not {self.octets!r}"

    @classmethod
    def parse(cls, text: str) -> "Mac":
        """Read ``02:bf:0a:00:00:01`` or ``02-BF-0A-00-00-01``; ValueError if it is neither."""
        parts = text.replace("-", ":").split(":")
        if len(parts) != MAC_SIZE or not all(len(part) == len("ff") for part in parts):
            message = f"{text!r} is not a MAC address of the form 02:bf:0a:00:00:01"
            raise ValueError(message)
        return cls(bytes(int(part, 16) for part in parts))

    @property
    def is_group(self) -> bool:
        """Whether the address is multicast or broadcast: the group bit (IEEE 802, 8.2)."""
        return bool(self.octets[0] & 1)

    def __str__(self) -> str:
        """Write the address the way ``ip link`` does."""
        return self.octets.hex(":")


BROADCAST: Final = Mac(b"\xff" * MAC_SIZE)
NO_MAC: Final = Mac(b"\0" * MAC_SIZE)


@dataclass(frozen=True, slots=True, order=True)
class IpAddress:
    """An IP address as a number of 128 bits; IPv4 is held v4-mapped."""

    value: int

    def __post_init__(self) -> None:
        """Refuse what does not fit 128 bits: a programmer's error, not an operator's."""
        assert 0 <= self.value <= IP_MAX, f"{self.value:#x} does not fit 128 bits"

    @classmethod
    def parse(cls, text: str) -> "IpAddress":
        """Read an address of either family; ValueError with a readable reason otherwise."""
        address = ipaddress.ip_address(text)
        if address.version == 4:  # noqa: PLR2004 - the name of the protocol
            return cls.from_v4(int(address))
        return cls(int(address))

    @classmethod
    def from_v4(cls, value: int) -> "IpAddress":
        """Map a 32-bit IPv4 address, in host order, into the 128-bit space."""
        return cls(V4_MAPPED_PREFIX | value)

    @property
    def is_v4(self) -> bool:
        """Whether this is a v4-mapped address."""
        return self.value >> 32 == V4_MAPPED_PREFIX >> 32

    @property
    def is_multicast(self) -> bool:
        """Whether it names a group: 224.0.0.0/4 (RFC 5771) or ff00::/8 (RFC 4291, 2.7)."""
        return self.v4 >> 28 == 0xE if self.is_v4 else self.value >> 120 == 0xFF  # noqa: PLR2004

    @property
    def v4(self) -> int:
        """The 32-bit IPv4 address; only for an address that ``is_v4``."""
        assert self.is_v4, f"{self} is not an IPv4 address"
        return self.value & V4_MAX

    @property
    def octets(self) -> bytes:
        """The sixteen octets in network order, as they stand in maps and on the wire."""
        return self.value.to_bytes(IP_SIZE, "big")

    def __str__(self) -> str:
        """Write IPv4 as a dotted quad and IPv6 in its canonical form (RFC 5952)."""
        if self.is_v4:
            return str(ipaddress.IPv4Address(self.v4))
        return str(ipaddress.IPv6Address(self.value))


@dataclass(frozen=True, slots=True)
class ClusterMacs:
    """The cluster's MAC address in each of NLB's modes, for one primary IP address."""

    unicast: Mac
    multicast: Mac
    igmp: Mac


def cluster_macs(primary: IpAddress) -> ClusterMacs:
    """Derive the cluster's MAC addresses as NLB does (Microsoft KB4494444).

    Unicast ``02-BF-a-b-c-d``, multicast ``03-BF-a-b-c-d``, IGMP ``01-00-5E-7F-c-d``.
    """
    word = _primary_word(primary)
    return ClusterMacs(
        unicast=Mac(b"\x02\xbf" + word),
        multicast=Mac(b"\x03\xbf" + word),
        igmp=Mac(b"\x01\x00\x5e\x7f" + word[2:]),
    )


def masked_mac(primary: IpAddress, host_priority: int) -> Mac:
    """Derive the source address a host shows in unicast mode: ``02-hh-a-b-c-d`` (KB Q193602)."""
    assert 1 <= host_priority <= HOST_PRIORITY_MAX, f"no host has priority {host_priority}"
    return Mac(bytes((0x02, host_priority)) + _primary_word(primary))


def _primary_word(primary: IpAddress) -> bytes:
    """Return octets 3 to 6 of the cluster's MAC.

    IPv6 folds its four 32-bit words with XOR, as Get-NlbClusterDriverInfo shows:
    2001:4898:e8:3018:bd82:dde1:6615:7b0 gives 02-BF-FB-7E-A2-D1.
    """
    if primary.is_v4:
        return primary.v4.to_bytes(4, "big")
    octets = primary.octets
    words = [int.from_bytes(octets[at : at + 4], "big") for at in range(0, IP_SIZE, 4)]
    return (words[0] ^ words[1] ^ words[2] ^ words[3]).to_bytes(4, "big")
