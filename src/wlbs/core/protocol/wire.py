# SPDX-License-Identifier: Apache-2.0
"""The working heartbeat and its bytes: versioned, bounded and authenticated.

Knows what hosts say to each other and how it stands behind the Ethernet header of a frame of
ethertype 0x886F. Knows nothing of what follows from it; replays and odd hosts are for `member`.

Layout, all integers little-endian::

    4  magic "wlbs"      1 version    1 kind (1)   1 host index   1 state
    8  cluster           8 boot nonce              8 sequence
    8  configuration     8 target                  1 echo count   1 rule count
    4  delivery probes sent      8 whose probes arrive     8 whose are silent     1 signs
    4  epoch under which the sender receives    1 whom it follows (255: nobody)    4 which epoch
    9  for each echo:    1 host index   4 boot nonce   4 sequence (the low 32 bits of each)
    8  for each rule:    which bucket groups have connections of the sender it does not own
   16  tag

At 64 hosts and 33 rules that is 927 octets, of at most `SIZE_MAX`. The tag is BLAKE2b (RFC 7693)
under the cluster's heartbeat key over everything before it; what follows it is padding. The cluster
is named by a digest of its name and primary IP address, so that a neighbour's heartbeat is told
from a forged one.
"""

import hashlib
import hmac
import struct
from dataclasses import dataclass
from typing import Final

from wlbs.core.address import HOST_PRIORITY_MAX
from wlbs.core.cluster import Cluster
from wlbs.core.protocol.delivering import NO_ROW, Row
from wlbs.core.protocol.effects import State
from wlbs.core.protocol.refusal import Refusal
from wlbs.core.rules import RULE_COUNT_MAX, HostIndex

MAGIC: Final = b"wlbs"
VERSION: Final = 2
KIND_HEARTBEAT: Final = 1
SIZE_MAX: Final = 1280
"""Octets behind the Ethernet header; the least MTU that IPv6 asks of any link (RFC 8200, 5)."""

TAG_SIZE: Final = 16
DIGEST_SIZE: Final = 8
MASK_32: Final = 0xFFFFFFFF

_PREFIX: Final = struct.Struct("<4sBBBB")
_BODY: Final = struct.Struct("<8sQQ8sQBB")
_CAPTURE: Final = struct.Struct("<IQQBIBI")
_ECHO: Final = struct.Struct("<BII")
_MAP: Final = struct.Struct("<Q")
_HEAD_SIZE: Final = _PREFIX.size + _BODY.size + _CAPTURE.size
_CAPTURE_AT: Final = _PREFIX.size + _BODY.size

_SIGHTED: Final = 1
_LEAKED: Final = 2
_PULLED: Final = 4
_NOBODY: Final = 0xFF

_STATES: Final = tuple(State)
"""A state's number on the wire is its place in `State`, which is append-only for that reason."""


class WireError(ValueError):
    """What was received is no heartbeat to act on; ``refusal`` says why."""

    def __init__(self, refusal: Refusal) -> None:
        """Carry the reason."""
        super().__init__(refusal.name)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Echo:
    """That the sender has heard a peer, and the latest of its heartbeats; low 32 bits of each."""

    host: HostIndex
    boot_nonce: int
    sequence: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a host says of frames for the VMAC: its probes, whose it gets, and what it has seen."""

    sent: int = 0
    """How many delivery probes it has sent; the low 32 bits."""
    row: Row = NO_ROW
    is_sighted: bool = False
    """Whether it has received a frame from the VMAC within the last second."""
    has_leaked: bool = False
    """Whether a program on it has sent one."""
    has_pulled: bool = False
    """Whether it has sent from the VMAC on purpose, so that frames come to its port."""


NO_DELIVERY: Final = Delivery()


@dataclass(frozen=True, slots=True)
class Relaying:
    """Under which epoch a host receives for all (0: not at all), and whom it follows."""

    epoch: int = 0
    follows: HostIndex | None = None
    followed_epoch: int = 0

    @property
    def followed(self) -> tuple[HostIndex | None, int]:
        """Whom the host follows, and under which epoch."""
        return self.follows, self.followed_epoch


NO_RELAYING: Final = Relaying()


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What one host says of itself.

    ``target`` has a bit for each host from whose presence the sender's filter table follows; 0
    while it asks for nothing. What the table gives the sender, the sender claims. ``echoes`` names
    each peer at most once, in the order of their indices.
    """

    host: HostIndex
    state: State
    boot_nonce: int
    sequence: int
    configuration: bytes
    target: int
    echoes: tuple[Echo, ...]
    foreign: tuple[int, ...]
    """For each rule, the default rule last: the groups with connections the sender does not own."""
    delivery: Delivery = NO_DELIVERY
    relaying: Relaying = NO_RELAYING

    def echo_of(self, host: HostIndex) -> Echo | None:
        """Return what the sender last heard of a host, or None if it does not hear it."""
        return next((each for each in self.echoes if each.host == host), None)


def cluster_digest(cluster: Cluster) -> bytes:
    """Return what names a cluster on the wire: a digest of its name and primary IP address."""
    data = cluster.primary.octets + cluster.name.encode()
    return hashlib.blake2b(data, digest_size=DIGEST_SIZE, person=b"wlbs cluster").digest()


def encode(heartbeat: Heartbeat, cluster: Cluster) -> bytes:
    """Return a heartbeat as it goes on the wire, behind the Ethernet header."""
    data = b"".join(
        (
            _PREFIX.pack(
                MAGIC, VERSION, KIND_HEARTBEAT, heartbeat.host, _STATES.index(heartbeat.state)
            ),
            _BODY.pack(
                cluster_digest(cluster),
                heartbeat.boot_nonce,
                heartbeat.sequence,
                heartbeat.configuration,
                heartbeat.target,
                len(heartbeat.echoes),
                len(heartbeat.foreign),
            ),
            _encode_capture(heartbeat.delivery, heartbeat.relaying),
            *(
                _ECHO.pack(each.host, each.boot_nonce & MASK_32, each.sequence & MASK_32)
                for each in heartbeat.echoes
            ),
            *(_MAP.pack(groups) for groups in heartbeat.foreign),
        )
    )
    data += _tag(cluster, data)
    assert len(data) <= SIZE_MAX, f"a heartbeat of {len(data)} octets"
    return data


def decode(data: bytes, cluster: Cluster) -> Heartbeat:
    """Read what was received; WireError, and nothing else, if it is no heartbeat of the cluster."""
    if data[: len(MAGIC)] != MAGIC:
        raise WireError(Refusal.NOT_OURS)
    if len(data) < _HEAD_SIZE:
        raise WireError(Refusal.MALFORMED)
    _, version, kind, host, state = _PREFIX.unpack_from(data)
    if version != VERSION:
        raise WireError(Refusal.VERSION)
    body: tuple[bytes, int, int, bytes, int, int, int] = _BODY.unpack_from(data, _PREFIX.size)
    named, boot_nonce, sequence, configuration, target, echo_count, rule_count = body
    if named != cluster_digest(cluster):
        raise WireError(Refusal.FOREIGN_CLUSTER)
    maps_at = _HEAD_SIZE + echo_count * _ECHO.size
    tag_at = maps_at + rule_count * _MAP.size
    if len(data) < tag_at + TAG_SIZE:
        raise WireError(Refusal.MALFORMED)
    if not hmac.compare_digest(data[tag_at : tag_at + TAG_SIZE], _tag(cluster, data[:tag_at])):
        raise WireError(Refusal.FORGED)
    echoes = tuple(
        Echo(HostIndex(index), nonce, number)
        for index, nonce, number in _ECHO.iter_unpack(data[_HEAD_SIZE:maps_at])
    )
    if not _is_sound(kind, host, state, echoes, rule_count):
        raise WireError(Refusal.MALFORMED)
    foreign = tuple(groups for (groups,) in _MAP.iter_unpack(data[maps_at:tag_at]))
    return Heartbeat(
        HostIndex(host),
        _STATES[state],
        boot_nonce,
        sequence,
        configuration,
        target,
        echoes,
        foreign,
        *_decode_capture(data),
    )


def _encode_capture(delivery: Delivery, relaying: Relaying) -> bytes:
    return _CAPTURE.pack(
        delivery.sent & MASK_32,
        delivery.row.arriving,
        delivery.row.silent,
        _signs(delivery),
        relaying.epoch & MASK_32,
        _NOBODY if relaying.follows is None else relaying.follows,
        relaying.followed_epoch & MASK_32,
    )


def _signs(delivery: Delivery) -> int:
    pulled = _PULLED * delivery.has_pulled
    return _SIGHTED * delivery.is_sighted | _LEAKED * delivery.has_leaked | pulled


def _decode_capture(data: bytes) -> tuple[Delivery, Relaying]:
    sent, arriving, silent, signs, epoch, follows, followed_epoch = _CAPTURE.unpack_from(
        data, _CAPTURE_AT
    )
    followed = None if follows == _NOBODY else HostIndex(follows)
    seen = (bool(signs & each) for each in (_SIGHTED, _LEAKED, _PULLED))
    delivery = Delivery(sent, Row(arriving, silent), *seen)
    return delivery, Relaying(epoch, followed, followed_epoch)


def _is_sound(kind: int, host: int, state: int, echoes: tuple[Echo, ...], rule_count: int) -> bool:
    """Whether the numbers of an authentic heartbeat are within their bounds."""
    hosts = [each.host for each in echoes]
    return (
        kind == KIND_HEARTBEAT
        and host < HOST_PRIORITY_MAX
        and state < len(_STATES)
        and hosts == sorted(set(hosts))
        and all(index < HOST_PRIORITY_MAX for index in hosts)
        and rule_count <= RULE_COUNT_MAX + 1
    )


def _tag(cluster: Cluster, data: bytes) -> bytes:
    return hashlib.blake2b(data, key=cluster.heartbeat_key, digest_size=TAG_SIZE).digest()
