# SPDX-License-Identifier: Apache-2.0
"""The two probes that a data path takes by itself, with no agent: is it alive, is it reached.

Knows the bytes of both and which packets are one. Knows nothing of who sends them or when, nor
what follows from an answer. The eBPF twin is ``datapath/bpf/probe.h``.

The *liveness probe* is a UDP datagram to a host's dedicated IP. The answer is as long as the
request, goes back where that came from, and says under the cluster's secret which load of the
programs answered and whether its lease is live. The asker chooses the challenge, so an answer
cannot be kept and sent again. The tag is SipHash-1-3 over 24 octets under the key of the buckets:
flows are hashed as 23 octets, and SipHash takes the length in, so neither can stand for the other.

The *delivery probe* is a message of the heartbeats' ethertype to the VMAC. That it arrived is all
it says, so it is counted by sender and dropped.

Integers of the liveness probe are little-endian, as in the kernel's maps.
"""

import struct
from dataclasses import dataclass
from typing import Final

from wlbs.core.address import HOST_PRIORITY_MAX, IpAddress
from wlbs.core.buckets import HashKey, siphash_1_3
from wlbs.core.frame import Datagram, Packet
from wlbs.core.rules import HostIndex

PROBE_PORT: Final = 0x886F
"""34927: the number of the heartbeats' ethertype, so that there is one to remember."""
PROBE_SIZE: Final = 32
PROBE_VERSION: Final = 1

_REQUEST: Final = struct.Struct("<4sB3xQ16x")
"""Magic, version, challenge; as long as the answer."""
_ANSWER: Final = struct.Struct("<4sB?2xQQQ")
"""Magic, version, whether the lease is live, challenge, boot nonce, tag."""
_REQUEST_MAGIC: Final = b"wlpq"
_ANSWER_MAGIC: Final = b"wlpa"
_TAGGED_SIZE: Final = 24
"""What stands before the tag, and is tagged."""

_DELIVERY: Final = struct.Struct("<4sBBB")
"""Magic, version, kind, sender: how each of our messages begins, whatever its version."""
_DELIVERY_MAGIC: Final = b"wlbs"
_DELIVERY_KIND: Final = 2
_PULL_KIND: Final = 3
_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Answer:
    """What a data path says of itself."""

    challenge: int
    lease_live: bool
    boot_nonce: int


def encode_request(challenge: int) -> bytes:
    """Return the payload that asks, with a challenge of 64 bits."""
    return _REQUEST.pack(_REQUEST_MAGIC, PROBE_VERSION, challenge)


def read_challenge(packet: Packet, dedicated_ip: IpAddress | None) -> int | None:
    """Return the challenge if the packet is a request to this address, to the last octet of it."""
    datagram = packet.transport
    if packet.destination != dedicated_ip or packet.is_first_fragment:
        return None
    if not isinstance(datagram, Datagram) or datagram.destination_port != PROBE_PORT:
        return None
    if datagram.payload is None or len(datagram.payload) != PROBE_SIZE:
        return None
    challenge = int.from_bytes(datagram.payload[8:16], "little")
    return challenge if datagram.payload == encode_request(challenge) else None


def encode_answer(answer: Answer, key: HashKey) -> bytes:
    """Return the payload that answers, with its tag."""
    untagged = (
        _ANSWER_MAGIC,
        PROBE_VERSION,
        answer.lease_live,
        answer.challenge,
        answer.boot_nonce,
    )
    tagged = _ANSWER.pack(*untagged, 0)[:_TAGGED_SIZE]
    return _ANSWER.pack(*untagged, siphash_1_3(key.octets, tagged))


def decode_answer(data: bytes, key: HashKey) -> Answer | None:
    """Return what the payload says, or None if it is no answer of a host that has the key."""
    if len(data) != PROBE_SIZE:
        return None
    magic, version, lease_live, challenge, boot_nonce, tag = _ANSWER.unpack(data)
    if (magic, version) != (_ANSWER_MAGIC, PROBE_VERSION):
        return None
    if siphash_1_3(key.octets, data[:_TAGGED_SIZE]) != tag:
        return None
    return Answer(challenge, lease_live, boot_nonce)


def encode_delivery(sender: HostIndex) -> bytes:
    """Return a delivery probe, as it stands behind the Ethernet header."""
    return _DELIVERY.pack(_DELIVERY_MAGIC, _VERSION, _DELIVERY_KIND, sender)


def encode_pull(sender: HostIndex) -> bytes:
    """Return what a host sends from the VMAC to pull it to its own port.

    Its ethertype tells it from a leak; nobody reads more of it.
    """
    return _DELIVERY.pack(_DELIVERY_MAGIC, _VERSION, _PULL_KIND, sender)


def is_pull(message: bytes) -> bool:
    """Whether what stands behind the Ethernet header is a pull."""
    if len(message) < _DELIVERY.size:
        return False
    magic, _, kind, sender = _DELIVERY.unpack_from(message)
    return (magic, kind) == (_DELIVERY_MAGIC, _PULL_KIND) and sender < HOST_PRIORITY_MAX


def delivery_sender(message: bytes) -> HostIndex | None:
    """Return who sent a delivery probe; None if what stands behind the Ethernet header is none."""
    if len(message) < _DELIVERY.size:
        return None
    magic, _, kind, sender = _DELIVERY.unpack_from(message)
    if (magic, kind) != (_DELIVERY_MAGIC, _DELIVERY_KIND) or sender >= HOST_PRIORITY_MAX:
        return None
    return HostIndex(sender)
