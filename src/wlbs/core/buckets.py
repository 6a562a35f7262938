# SPDX-License-Identifier: Apache-2.0
"""From a flow to its bucket, by a keyed hash.

Knows which fields of a flow count under each affinity and how they are hashed. Knows nothing of
who owns the bucket. The C twin is ``datapath/bpf/hash.h``; shared vectors keep the two equal.

The hash is SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012) under the
cluster's secret. It is keyed so that nobody can choose source ports that all fall on one host, and
it stays unpredictable to somebody who sees which host answered, which the cheaper keyed sums do
not: docs/decisions/0002 has the measurements.
"""

from dataclasses import dataclass
from typing import Final, NewType, assert_never

from wlbs.core.address import IpAddress
from wlbs.core.rules import Affinity

BucketIndex = NewType("BucketIndex", int)

BUCKET_COUNT: Final = 4096
"""Buckets per rule: a quota is exact to 0.02 %, against the 1.7 % of NLB's sixty buckets."""
BUCKET_BITS: Final = 12

KEY_SIZE: Final = 16
V4_NETWORK_BITS: Final = 24
V6_NETWORK_BITS: Final = 64
"""What `Affinity.NETWORK` keeps of an address: NLB's /24 for IPv4; /64, one subnet, for IPv6."""

_WORD: Final = (1 << 64) - 1
_TAIL_SIZE: Final = 7


@dataclass(frozen=True, slots=True)
class HashKey:
    """The 128-bit secret of the hash; equal on every host of a cluster."""

    octets: bytes

    def __post_init__(self) -> None:
        """Refuse another size: a programmer's error; the configuration checks what people type."""
        assert len(self.octets) == KEY_SIZE, f"a hash key has {KEY_SIZE} octets"


@dataclass(frozen=True, slots=True)
class Flow:
    """What identifies a flow, seen from the cluster; ports are 0 where a protocol has none."""

    client: IpAddress
    client_port: int
    server_port: int
    protocol: int


def bucket_of(key: HashKey, affinity: Affinity, flow: Flow) -> BucketIndex:
    """Return the bucket of a flow, 0 to `BUCKET_COUNT` - 1."""
    return BucketIndex(siphash_1_3(key.octets, message(affinity, flow)) >> (64 - BUCKET_BITS))


def message(affinity: Affinity, flow: Flow) -> bytes:
    """Return the 23 bytes that are hashed: the client's address, its port, our port, protocol.

    Under single and network affinity all but the address is zero, so that every connection of a
    client, to whatever port, falls into the same bucket. One byte short of three words, because
    SipHash puts the message's length there: 23 bytes cost three rounds to take in, 24 cost four.
    """
    match affinity:
        case Affinity.NONE:
            tail = (flow.protocol << 32) | (flow.server_port << 16) | flow.client_port
            return flow.client.octets + tail.to_bytes(_TAIL_SIZE, "little")
        case Affinity.SINGLE:
            return flow.client.octets + bytes(_TAIL_SIZE)
        case Affinity.NETWORK:
            return _network(flow.client).octets + bytes(_TAIL_SIZE)
        case _:
            assert_never(affinity)


def siphash_1_3(key: bytes, data: bytes) -> int:
    """Return SipHash-1-3 of any bytes: one round for each word, three to finish."""
    whole_size = len(data) // 8 * 8
    v0, v1, v2, v3 = siphash_start(key, data[:whole_size])
    last = int.from_bytes(data[whole_size:], "little") | (len(data) & 0xFF) << 56
    v0, v1, v2, v3 = _round(v0, v1, v2, v3 ^ last)
    v0, v2 = v0 ^ last, v2 ^ 0xFF
    for _ in range(3):
        v0, v1, v2, v3 = _round(v0, v1, v2, v3)
    return v0 ^ v1 ^ v2 ^ v3


def siphash_start(key: bytes, words: bytes) -> tuple[int, int, int, int]:
    """Return the hash's state once it has taken in these whole words."""
    k0 = int.from_bytes(key[:8], "little")
    k1 = int.from_bytes(key[8:], "little")
    v0 = k0 ^ 0x736F6D6570736575
    v1 = k1 ^ 0x646F72616E646F6D
    v2 = k0 ^ 0x6C7967656E657261
    v3 = k1 ^ 0x7465646279746573
    for at in range(0, len(words), 8):
        word = int.from_bytes(words[at : at + 8], "little")
        v0, v1, v2, v3 = _round(v0, v1, v2, v3 ^ word)
        v0 ^= word
    return v0, v1, v2, v3


def _round(v0: int, v1: int, v2: int, v3: int) -> tuple[int, int, int, int]:
    v0 = (v0 + v1) & _WORD
    v1 = _rotate(v1, 13) ^ v0
    v0 = _rotate(v0, 32)
    v2 = (v2 + v3) & _WORD
    v3 = _rotate(v3, 16) ^ v2
    v0 = (v0 + v3) & _WORD
    v3 = _rotate(v3, 21) ^ v0
    v2 = (v2 + v1) & _WORD
    v1 = _rotate(v1, 17) ^ v2
    v2 = _rotate(v2, 32)
    return v0, v1, v2, v3


def _rotate(word: int, bits: int) -> int:
    return ((word << bits) | (word >> (64 - bits))) & _WORD


def _network(client: IpAddress) -> IpAddress:
    kept_bits = 96 + V4_NETWORK_BITS if client.is_v4 else V6_NETWORK_BITS
    dropped_bits = 128 - kept_bits
    return IpAddress(client.value >> dropped_bits << dropped_bits)
