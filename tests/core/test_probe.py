# SPDX-License-Identifier: Apache-2.0
"""The probes' bytes: what is one to the last octet, and that an answer cannot be made up."""

import dataclasses
import struct

import pytest

from wlbs.core.address import IpAddress
from wlbs.core.buckets import HashKey, siphash_1_3
from wlbs.core.frame import Datagram, IcmpMessage, Packet
from wlbs.core.probe import (
    PROBE_PORT,
    Answer,
    decode_answer,
    delivery_sender,
    encode_answer,
    encode_delivery,
    encode_pull,
    encode_request,
    is_pull,
    read_challenge,
)
from wlbs.core.rules import HostIndex

CLIENT, OWN = IpAddress.parse("10.0.0.99"), IpAddress.parse("10.0.0.11")
KEY = HashKey(bytes(range(16)))
CHALLENGE = 0x1122334455667788
REQUEST = encode_request(CHALLENGE)
DATAGRAM = Datagram(40000, PROBE_PORT, REQUEST)
PACKET = Packet(CLIENT, OWN, 17, transport=DATAGRAM)
ANSWER = Answer(CHALLENGE, lease_live=True, boot_nonce=99)


def test_a_request_is_the_bytes_of_the_document() -> None:
    assert REQUEST.hex() == "776c707101000000" + "8877665544332211" + 16 * "00"
    assert read_challenge(PACKET, OWN) == CHALLENGE


@pytest.mark.parametrize(
    "packet",
    [
        dataclasses.replace(PACKET, destination=CLIENT),
        dataclasses.replace(PACKET, is_first_fragment=True),
        dataclasses.replace(PACKET, transport=None),
        dataclasses.replace(PACKET, transport=IcmpMessage(8, 0)),
        dataclasses.replace(PACKET, transport=Datagram(1, PROBE_PORT + 1, REQUEST)),
        dataclasses.replace(PACKET, transport=Datagram(1, PROBE_PORT, None)),
        dataclasses.replace(PACKET, transport=Datagram(1, PROBE_PORT, REQUEST[:31])),
        dataclasses.replace(PACKET, transport=Datagram(1, PROBE_PORT, REQUEST + b"\0")),
    ],
)
def test_another_packet_is_no_request(packet: Packet) -> None:
    assert read_challenge(packet, OWN) is None


@pytest.mark.parametrize("at", [0, 3, 4, 5, 7, 16, 31])
def test_a_request_is_exact(at: int) -> None:
    payload = REQUEST[:at] + bytes((REQUEST[at] ^ 1,)) + REQUEST[at + 1 :]
    packet = dataclasses.replace(PACKET, transport=Datagram(1, PROBE_PORT, payload))
    assert read_challenge(packet, OWN) is None


def test_a_host_without_a_dedicated_ip_is_not_asked() -> None:
    assert read_challenge(PACKET, None) is None


def test_an_answer_is_the_bytes_of_the_document_and_as_long_as_the_request() -> None:
    tagged = struct.pack("<4sBBHQQ", b"wlpa", 1, 1, 0, CHALLENGE, 99)
    data = encode_answer(ANSWER, KEY)
    assert data == tagged + siphash_1_3(KEY.octets, tagged).to_bytes(8, "little")
    assert len(data) == len(REQUEST)


@pytest.mark.parametrize("lease_live", [True, False])
def test_an_answer_says_what_was_put_into_it(*, lease_live: bool) -> None:
    answer = dataclasses.replace(ANSWER, lease_live=lease_live)
    assert decode_answer(encode_answer(answer, KEY), KEY) == answer


@pytest.mark.parametrize("at", range(32))
def test_an_answer_with_any_octet_changed_is_none(at: int) -> None:
    data = bytearray(encode_answer(ANSWER, KEY))
    data[at] ^= 1
    assert decode_answer(bytes(data), KEY) is None


def test_an_answer_of_another_size_kind_or_cluster_is_none() -> None:
    data = encode_answer(ANSWER, KEY)
    assert decode_answer(data[:31], KEY) is None
    assert decode_answer(REQUEST, KEY) is None
    assert decode_answer(data, HashKey(bytes(16))) is None


@pytest.mark.parametrize(
    ("message", "sender"),
    [
        (b"wlbs\1\2\0", 0),
        (b"wlbs\1\2\x3f and more", 63),
        (b"wlbs\7\2\5", 5),
        (b"wlbs\1\2\x40", None),
        (b"wlbs\1\1\0", None),
        (b"wlbt\1\2\0", None),
        (b"wlbs\1\2", None),
        (b"", None),
    ],
)
def test_a_delivery_probe_names_its_sender(message: bytes, sender: int | None) -> None:
    assert delivery_sender(message) == sender


def test_a_pull_is_known_and_nothing_else_is_one() -> None:
    pull = encode_pull(HostIndex(3))
    assert is_pull(pull)
    assert is_pull(pull + bytes(40))
    assert not is_pull(pull[:-1])
    assert not is_pull(b"x" + pull[1:])
    assert not is_pull(encode_delivery(HostIndex(3)))
    assert not is_pull(pull[:-1] + b"\xff")
