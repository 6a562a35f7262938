# SPDX-License-Identifier: Apache-2.0
"""The heartbeat on the wire: read as it was written, bounded, and refused for the right reason."""

import dataclasses
import hashlib
import struct

import pytest
from tests.core.protocol.said import NONCE, ONE, THREE, TWO, echo, said

from wlbs.core.address import IpAddress
from wlbs.core.cluster import Cluster, Host
from wlbs.core.protocol.delivering import Row
from wlbs.core.protocol.effects import State
from wlbs.core.protocol.refusal import Refusal
from wlbs.core.protocol.wire import (
    MAGIC,
    SIZE_MAX,
    TAG_SIZE,
    Delivery,
    Echo,
    Heartbeat,
    Relaying,
    WireError,
    cluster_digest,
    decode,
    encode,
)
from wlbs.core.rules import HostIndex, PortRule

HEAD_SIZE = 80


def refusal(data: bytes, cluster: Cluster) -> Refusal:
    with pytest.raises(WireError) as caught:
        decode(data, cluster)
    assert str(caught.value) == caught.value.refusal.name
    return caught.value.refusal


def signed(data: bytes, cluster: Cluster) -> bytes:
    """Return the data under a tag that is right, by hashlib alone."""
    tag = hashlib.blake2b(data, key=cluster.heartbeat_key, digest_size=TAG_SIZE)
    return data + tag.digest()


def altered(cluster: Cluster, at: int, octet: int) -> bytes:
    """Return an authentic heartbeat of host 2 with one octet that it would never have."""
    data = bytearray(encode(said(cluster, TWO), cluster)[:-TAG_SIZE])
    data[at] = octet
    return signed(bytes(data), cluster)


def test_what_is_written_is_read(cluster: Cluster) -> None:
    heartbeat = dataclasses.replace(said(cluster, TWO, 7), foreign=(1, 1 << 63, 5))
    assert decode(encode(heartbeat, cluster), cluster) == heartbeat


@pytest.mark.parametrize("state", State)
def test_every_state_can_be_said(cluster: Cluster, state: State) -> None:
    heartbeat = dataclasses.replace(said(cluster, THREE), state=state, echoes=())
    assert decode(encode(heartbeat, cluster), cluster).state is state


def test_the_layout_is_the_documented_one(cluster: Cluster) -> None:
    """Built here with struct and hashlib alone, as another implementation would."""
    heartbeat = dataclasses.replace(
        said(cluster, TWO, 7),
        foreign=(1, 2, 3),
        delivery=Delivery(1 << 32 | 44, Row(0b100, 0b001), is_sighted=True, has_leaked=True),
        relaying=Relaying(0, THREE, 55),
    )
    named = hashlib.blake2b(
        cluster.primary.octets + b"web", digest_size=8, person=b"wlbs cluster"
    ).digest()
    expected = struct.pack("<4sBBBB", b"wlbs", 2, 1, 1, 3)
    expected += struct.pack("<8sQQ8sQBB", named, NONCE, 7, cluster.configuration, 7, 2, 3)
    expected += struct.pack("<IQQBIBI", 44, 0b100, 0b001, 0b11, 0, 2, 55)
    expected += struct.pack("<BIIBII", 0, NONCE & 0xFFFFFFFF, 1, 2, NONCE & 0xFFFFFFFF, 1)
    expected += struct.pack("<QQQ", 1, 2, 3)
    assert encode(heartbeat, cluster) == signed(expected, cluster)


@pytest.mark.parametrize("is_sighted", [True, False])
@pytest.mark.parametrize("has_leaked", [True, False])
@pytest.mark.parametrize("relaying", [Relaying(), Relaying(9), Relaying(0, TWO, 7)])
def test_what_is_said_of_delivery_and_relaying_is_read(
    cluster: Cluster, *, relaying: Relaying, is_sighted: bool, has_leaked: bool
) -> None:
    delivery = Delivery(5, Row(1 << 63, 3), is_sighted=is_sighted, has_leaked=has_leaked)
    heartbeat = dataclasses.replace(said(cluster, TWO), delivery=delivery, relaying=relaying)
    assert decode(encode(heartbeat, cluster), cluster) == heartbeat
    assert heartbeat.relaying.followed == (relaying.follows, relaying.followed_epoch)


def test_padding_behind_the_tag_is_not_read(cluster: Cluster) -> None:
    heartbeat = said(cluster, ONE)
    assert decode(encode(heartbeat, cluster) + bytes(40), cluster) == heartbeat


def test_an_echo_carries_the_low_32_bits(cluster: Cluster) -> None:
    whole = Echo(ONE, NONCE, 1 << 40 | 5)
    heartbeat = dataclasses.replace(said(cluster, TWO), echoes=(whole,))
    assert decode(encode(heartbeat, cluster), cluster).echoes == (echo(ONE, 5),)


def test_an_echo_is_found_by_host(cluster: Cluster) -> None:
    heartbeat = said(cluster, TWO)
    assert heartbeat.echo_of(THREE) == echo(THREE, 1)
    assert heartbeat.echo_of(TWO) is None


def test_the_largest_cluster_fits_the_least_mtu(cluster: Cluster) -> None:
    hosts = tuple(Host(at, f"h{at}", IpAddress.from_v4(at)) for at in range(1, 65))
    rules = tuple(PortRule(at, at) for at in range(32))
    largest = dataclasses.replace(cluster, hosts=hosts, rules=rules)
    echoes = tuple(echo(HostIndex(at), 1) for at in range(63))
    full = Heartbeat(
        HostIndex(63), State.CONVERGED, NONCE, 1, bytes(8), (1 << 64) - 1, echoes, (0,) * 33
    )
    data = encode(full, largest)
    assert len(data) == 927 <= SIZE_MAX
    assert decode(data, largest) == full


def test_more_than_fits_is_a_programming_error(cluster: Cluster) -> None:
    with pytest.raises(AssertionError, match="octets"):
        encode(dataclasses.replace(said(cluster, ONE), foreign=(0,) * 200), cluster)


def test_another_protocol_is_told_by_its_magic(cluster: Cluster) -> None:
    assert refusal(b"", cluster) is Refusal.NOT_OURS
    assert refusal(b"\xc0\xde\xba\x0b" + bytes(80), cluster) is Refusal.NOT_OURS


def test_a_short_one_is_malformed_at_every_length(cluster: Cluster) -> None:
    data = encode(said(cluster, ONE), cluster)
    for size in range(len(MAGIC), len(data)):
        assert refusal(data[:size], cluster) is Refusal.MALFORMED, size


def test_another_version_is_named_before_anything_else(cluster: Cluster) -> None:
    """Its layout is unknown, so not even the tag can be looked for."""
    data = bytearray(encode(said(cluster, ONE), cluster))
    data[4] = 1
    assert refusal(bytes(data), cluster) is Refusal.VERSION


def test_a_neighbour_is_told_from_a_forger(cluster: Cluster) -> None:
    neighbour = dataclasses.replace(cluster, name="mail", heartbeat_key=b"theirs")
    forger = dataclasses.replace(cluster, heartbeat_key=b"guessed")
    heartbeat = said(cluster, ONE)
    assert refusal(encode(heartbeat, neighbour), cluster) is Refusal.FOREIGN_CLUSTER
    assert refusal(encode(heartbeat, forger), cluster) is Refusal.FORGED
    assert cluster_digest(neighbour) != cluster_digest(cluster) == cluster_digest(forger)


def test_one_octet_changed_anywhere_is_never_accepted(cluster: Cluster) -> None:
    data = encode(said(cluster, ONE), cluster)
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 1
        assert refusal(bytes(changed), cluster) in {
            Refusal.NOT_OURS,
            Refusal.VERSION,
            Refusal.FOREIGN_CLUSTER,
            Refusal.MALFORMED,
            Refusal.FORGED,
        }


@pytest.mark.parametrize(
    ("at", "octet", "what"),
    [
        (5, 2, "a kind that is not a heartbeat's"),
        (6, 64, "a host beyond the 64th"),
        (7, len(State), "a state that does not exist"),
        (HEAD_SIZE, 64, "an echo of a host beyond the 64th"),
        (HEAD_SIZE, 2, "two echoes of one host"),
        (HEAD_SIZE, 3, "echoes out of order"),
    ],
)
def test_an_authentic_one_out_of_bounds_is_malformed(
    cluster: Cluster, at: int, octet: int, what: str
) -> None:
    assert refusal(altered(cluster, at, octet), cluster) is Refusal.MALFORMED, what


def test_more_rules_than_there_can_be_are_malformed(cluster: Cluster) -> None:
    data = encode(dataclasses.replace(said(cluster, ONE), foreign=(0,) * 34), cluster)
    assert refusal(data, cluster) is Refusal.MALFORMED
