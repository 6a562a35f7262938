# SPDX-License-Identifier: Apache-2.0
"""What was seen of frames that carry the VMAC as their source, and in words who sent them.

Knows how kinds of frames are spelled in the field, and what can be known of a sender. A *sighting*
is all frames of one sender, kind and destination; a *bypasser* is a process that could have sent
what nobody saw leave. Knows nothing of how they are found, nor of what follows from them.
"""

from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Final

from wlbs.core.address import MAC_SIZE, Mac
from wlbs.core.frame import ETHERNET_SIZE
from wlbs.core.instant import Instant

ETHERTYPE_MIN: Final = 0x600
"""What is below is a length, and an LLC header follows it (IEEE 802.3, 3.2.6)."""
SAP_SIZE: Final = 2
"""DSAP and SSAP (IEEE 802.2, 3.2)."""
LLC_SIZE: Final = 8
"""With the control field, and what SNAP adds: an organisation and its protocol (IEEE 802, 10.3)."""
_CONTROL_END: Final = 3
_SNAP: Final = b"\xaa\xaa"

_NAMES: Final = {
    0x0800: "IPv4",
    0x0806: "ARP",
    0x86DD: "IPv6",
}
_RARER_NAMES: Final = {
    0x8035: "RARP",
    0x8100: "VLAN",
    0x886F: "heartbeat",
    0x8899: "Realtek",
    0x88A8: "VLAN",
    0x88CC: "LLDP",
    0x9000: "loopback",
}
"""Names that not everybody has in mind are followed by their number."""

_NS_PER_S: Final = 1_000_000_000


@unique
class Where(StrEnum):
    """Where a host saw a frame that carries the VMAC as its source."""

    DEPARTED = "sent through the guard, which masked it"
    BYPASSED = "sent past the guard"
    ARRIVED = "received"


@unique
class Bypass(StrEnum):
    """By what a socket sends past the guard."""

    PACKET = "a packet socket with PACKET_QDISC_BYPASS"
    XDP = "a socket of AF_XDP"


@dataclass(frozen=True, slots=True, order=True)
class FrameKind:
    """What a frame says of its contents: an ethertype, or an LLC header.

    ``llc`` is DSAP and SSAP, and with SNAP also the organisation's three octets and its protocol's
    two. It is empty where an ethertype is, or where the frame is too short to have one.
    """

    ethertype: int = 0
    llc: bytes = b""

    @classmethod
    def of(cls, frame: bytes) -> "FrameKind":
        """Read the kind of a frame; of one without a whole Ethernet header there is none."""
        if len(frame) < ETHERNET_SIZE:
            return cls()
        return cls.read(int.from_bytes(frame[2 * MAC_SIZE : ETHERNET_SIZE]), frame[ETHERNET_SIZE:])

    @classmethod
    def read(cls, ethertype: int, body: bytes) -> "FrameKind":
        """Read the kind from the ethertype or length, and what comes after it."""
        if ethertype >= ETHERTYPE_MIN:
            return cls(ethertype)
        saps = body[:SAP_SIZE]
        if len(body) < LLC_SIZE:
            return cls(llc=saps if len(saps) == SAP_SIZE else b"")
        return cls(llc=saps + (body[_CONTROL_END:LLC_SIZE] if saps == _SNAP else b""))

    def __str__(self) -> str:
        """Spell it: ``ARP``, ``LLDP (0x88cc)``, ``0x88b5``, ``LLC AA/AA SNAP 02574c:0001``."""
        if self.ethertype:
            if self.ethertype in _NAMES:
                return _NAMES[self.ethertype]
            number = f"0x{self.ethertype:04x}"
            name = _RARER_NAMES.get(self.ethertype)
            return f"{name} ({number})" if name else number
        if not self.llc:
            return "LLC, cut short"
        saps = f"LLC {self.llc[:1].hex().upper()}/{self.llc[1:SAP_SIZE].hex().upper()}"
        organisation, protocol = self.llc[SAP_SIZE:5], self.llc[5:]
        return f"{saps} SNAP {organisation.hex()}:{protocol.hex()}" if protocol else saps


@dataclass(frozen=True, slots=True, order=True)
class Sender:
    """Who sent from this host, as far as the kernel could tell while it was sent.

    ``name`` and ``process`` are those of the process, which may have ended since; None if only the
    socket is known, which then sent at a time when any process may have been running. ``socket`` is
    its cookie, which no other socket has had since the host started.
    """

    name: str | None
    process: int | None
    socket: int | None

    def __str__(self) -> str:
        """Name it: ``python3 (process 123, socket 45)``."""
        socket = "" if self.socket is None else f"socket {self.socket}"
        if self.process is None:
            return f"{socket or 'a socket'}, whose process is not known"
        return f"{self.name} ({', '.join(filter(None, (f'process {self.process}', socket)))})"


@dataclass(frozen=True, slots=True)
class Sighting:
    """Frames from the VMAC of one kind, sender and destination, added up.

    A frame that arrived has no sender here. One that left has none if no socket of this host sent
    it: it came from the kernel itself, a bridge or a virtual machine.
    """

    where: Where
    kind: FrameKind
    destination: Mac
    count: int
    first: Instant
    last: Instant
    sender: Sender | None = None


@dataclass(frozen=True, slots=True, order=True)
class Bypasser:
    """A process with a socket that can send past the guard; whether it did, nobody saw."""

    sender: Sender
    bypass: Bypass


def describe(sighting: Sighting, now: Instant) -> str:
    """Say a sighting in one line for an operator."""
    frames = "1 frame" if sighting.count == 1 else f"{sighting.count} frames"
    what = f"{frames} of {sighting.kind} to {sighting.destination} from the cluster's MAC"
    return f"{what}, {sighting.where}{_by(sighting)}; {_when(sighting, now)}"


def describe_bypasser(bypasser: Bypasser) -> str:
    """Say a bypasser in one line for an operator."""
    return f"{bypasser.sender} holds {bypasser.bypass}, so it can send past the guard"


def _by(sighting: Sighting) -> str:
    if sighting.where is Where.ARRIVED:
        return ""
    if sighting.sender is None:
        return ", by no socket of this host: the kernel itself, a bridge or a virtual machine"
    return f", by {sighting.sender}"


def _when(sighting: Sighting, now: Instant) -> str:
    last = f"{_seconds(sighting.last, now)} ago"
    if sighting.count == 1:
        return last
    return f"first {_seconds(sighting.first, now)} ago, last {last}"


def _seconds(since: Instant, now: Instant) -> str:
    return f"{max(0, now - since) / _NS_PER_S:.1f} s"
