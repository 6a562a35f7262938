# SPDX-License-Identifier: Apache-2.0
"""A host's data path answers a liveness probe that was really sent, with no agent anywhere."""

import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from wlbs.core.address import IpAddress, Mac
from wlbs.core.cluster import TcHook, XdpMode
from wlbs.core.probe import PROBE_PORT, Answer, decode_answer, encode_request
from wlbs.core.protocol.events import Instant
from wlbs.core.reason import Reason
from wlbs.core.table import FilterTable
from wlbs.datapath.loader import Datapath
from wlbs.linux import namespace
from wlbs.linux.clock import now

OWN = ("10.0.0.11", PROBE_PORT)
WAIT_S = 5.0
MINUTE_NS = 60_000_000_000


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=10)


@pytest.fixture
def asker(interface: tuple[int, Mac], pins: Path) -> Iterator[socket.socket]:
    """Yield a socket in a namespace at the other end, whose interface runs native XDP too.

    On veth a frame sent by XDP_TX arrives only at such an interface.
    """
    assert interface
    name = f"wlbs-test-{os.getpid()}-asker"
    namespace.create(name)
    ip("link", "set", "far", "netns", name)
    ip("addr", "add", "10.0.0.11/24", "dev", "near")
    passing = None
    try:
        with namespace.entered(name):
            ip("addr", "add", "10.0.0.99/24", "dev", "far")
            ip("link", "set", "far", "up")
            passing = Datapath.load(pins.with_name(f"{pins.name}-asker"))
            passing.attach_ingress(socket.if_nametoindex("far"), XdpMode.NATIVE, TcHook.AUTO)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
                asking.settimeout(WAIT_S)
                yield asking
    finally:
        if passing is not None:
            passing.remove()
        namespace.remove(name)


@pytest.fixture
def table(own_everything: FilterTable) -> FilterTable:
    return replace(own_everything, dedicated_ip=IpAddress.parse(OWN[0]))


@pytest.fixture
def datapath(pins: Path, table: FilterTable, interface: tuple[int, Mac]) -> Datapath:
    """Return what an agent leaves behind: programs attached, a table, and no lease."""
    loaded = Datapath.load(pins)
    loaded.install(replace(table, boot_nonce=loaded.boot_nonce()))
    loaded.attach_ingress(interface[0], XdpMode.NATIVE, TcHook.AUTO)
    return loaded


def test_a_liveness_probe_is_answered_without_an_agent(
    datapath: Datapath, table: FilterTable, asker: socket.socket
) -> None:
    for challenge, lease_live in ((1, False), (2, True), (2**64 - 1, False)):
        datapath.hold_lease(Instant(now() + MINUTE_NS if lease_live else 0))
        asker.sendto(encode_request(challenge), OWN)
        data, source = asker.recvfrom(64)
        assert source == OWN
        answer = Answer(challenge, lease_live, datapath.boot_nonce())
        assert decode_answer(data, table.key) == answer
    assert datapath.counters()[Reason.PROBE_ANSWERED] == 3


@pytest.mark.parametrize(
    "payload", [encode_request(7)[:31], encode_request(7) + b"\0", b"wlpa" + encode_request(7)[4:]]
)
def test_what_is_not_quite_a_probe_goes_to_the_stack(
    datapath: Datapath, interface: tuple[int, Mac], asker: socket.socket, payload: bytes
) -> None:
    assert interface
    near = f"wlbs-test-{os.getpid()}"
    with namespace.entered(near), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as service:
        service.bind(OWN)
        service.settimeout(WAIT_S)
        asker.sendto(payload, OWN)
        assert service.recv(64) == payload
    assert datapath.counters()[Reason.PROBE_ANSWERED] == 0
