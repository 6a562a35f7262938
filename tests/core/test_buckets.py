# SPDX-License-Identifier: Apache-2.0
"""The hash against Python's own SipHash-1-3 and vectors, and what each affinity leaves out."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from wlbs.core.address import IpAddress
from wlbs.core.buckets import BUCKET_COUNT, Flow, HashKey, bucket_of, message, siphash_1_3
from wlbs.core.rules import Affinity

VECTORS = Path(__file__).parents[1] / "vectors" / "siphash-1-3.json"
KEY = HashKey(bytes(range(16)))
CLIENT = IpAddress.parse("192.0.2.77")
FLOW = Flow(CLIENT, 40000, 80, 6)
ORACLE = """
import sys
assert sys.hash_info.algorithm == "siphash13", sys.hash_info
print(*(hash(bytes(range(size))) for size in range(1, 65)))
"""


def test_the_hash_is_the_one_python_itself_uses_for_bytes() -> None:
    """With PYTHONHASHSEED=0 Python's key is zero; its hash is signed and never -1."""
    environment = os.environ | {"PYTHONHASHSEED": "0"}
    done = subprocess.run(
        [sys.executable, "-c", ORACLE], env=environment, capture_output=True, text=True, check=True
    )
    expected = [int(word) for word in done.stdout.split()]
    assert len(expected) == 64
    for size, signed in enumerate(expected, start=1):
        ours = siphash_1_3(bytes(16), bytes(range(size)))
        as_python = ours - (1 << 64) if ours >> 63 else ours
        assert (-2 if as_python == -1 else as_python) == signed


def test_the_hash_gives_the_stored_vectors() -> None:
    vectors = json.loads(VECTORS.read_text())["vectors"]
    assert len(vectors) >= 8
    for vector in vectors:
        ours = siphash_1_3(bytes.fromhex(vector["key"]), bytes.fromhex(vector["message"]))
        assert f"{ours:016x}" == vector["hash"], vector


def test_the_key_has_sixteen_octets() -> None:
    with pytest.raises(AssertionError, match="16 octets"):
        HashKey(bytes(15))


def test_without_affinity_every_field_counts() -> None:
    assert message(Affinity.NONE, FLOW) == CLIENT.octets + bytes.fromhex("409c 5000 06 0000")


def test_single_affinity_leaves_only_the_client() -> None:
    assert message(Affinity.SINGLE, FLOW) == CLIENT.octets + bytes(7)


@pytest.mark.parametrize(
    ("client", "network"),
    [("192.0.2.77", "192.0.2.0"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::")],
)
def test_network_affinity_leaves_only_the_network(client: str, network: str) -> None:
    flow = Flow(IpAddress.parse(client), 1, 2, 6)
    assert message(Affinity.NETWORK, flow) == IpAddress.parse(network).octets + bytes(7)


@pytest.mark.parametrize("affinity", Affinity)
def test_a_bucket_is_the_top_twelve_bits_of_the_hash(affinity: Affinity) -> None:
    expected = siphash_1_3(KEY.octets, message(affinity, FLOW)) >> 52
    assert bucket_of(KEY, affinity, FLOW) == expected
    assert 0 <= expected < BUCKET_COUNT
