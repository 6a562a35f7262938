# SPDX-License-Identifier: Apache-2.0
"""Who holds a socket that can send past the guard is found, and nobody else is."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from wlbs.core.sighting import Bypass, Bypasser, Sender
from wlbs.linux import namespace
from wlbs.linux.bypass import DESCRIPTORS_PER_PAUSE, find_bypassers
from wlbs.linux.xsk import XdpOutlet

AF_XDP = 44
DEADLINE_S = 10.0

HOLDER = """\
import socket, sys
with open("/proc/self/comm", "w") as comm:
    comm.write("a-holder")
family, interface, bypass = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
with socket.socket(family, socket.SOCK_RAW) as held:
    if family == socket.AF_PACKET:
        held.setsockopt(263, 20, bypass)
        if interface:
            held.bind((interface, 0))
    print(int.from_bytes(held.getsockopt(socket.SOL_SOCKET, 57, 8), "little"), flush=True)
    sys.stdin.read()
"""
"""Holds a socket under a name of its own and says its cookie, until its standard input ends."""


@pytest.fixture
def host() -> Iterator[str]:
    """Yield the name of a namespace, in which the test is, with the two ends of a veth pair."""
    name = f"wlbs-test-{os.getpid()}"
    namespace.create(name)
    try:
        with namespace.entered(name):
            words = ("ip", "link", "add", "near", "type", "veth", "peer", "name", "far")
            subprocess.run(words, check=True, timeout=DEADLINE_S)
            yield name
    finally:
        namespace.remove(name)


@contextmanager
def holder(family: int, interface: str = "", *, bypass: bool = True) -> Iterator[Sender]:
    """Have a process hold a socket until the block ends."""
    words = (sys.executable, "-c", HOLDER, str(family), interface, str(int(bypass)))
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        yield Sender("a-holder", process.pid, int(said))
        process.communicate(timeout=DEADLINE_S)


def bypassers() -> list[Bypasser]:
    found = find_bypassers(socket.if_nametoindex("near"))
    return sorted(each for each in found if each is not None)


@pytest.mark.parametrize("interface", ["near", ""])
@pytest.mark.usefixtures("host")
def test_a_packet_socket_that_bypasses_is_found(interface: str) -> None:
    with holder(socket.AF_PACKET, interface) as sender:
        assert bypassers() == [Bypasser(sender, Bypass.PACKET)]
    assert bypassers() == []


@pytest.mark.usefixtures("host")
def test_a_socket_of_xdp_is_found() -> None:
    with holder(AF_XDP) as sender:
        assert bypassers() == [Bypasser(sender, Bypass.XDP)]


@pytest.mark.usefixtures("host")
def test_a_sender_by_xdp_is_found_once() -> None:
    """It has a descriptor for each of its rings besides."""
    outlet = XdpOutlet("near")
    try:
        (only,) = bypassers()
        assert only.bypass is Bypass.XDP
    finally:
        outlet.close()


@pytest.mark.usefixtures("host")
def test_whoever_cannot_bypass_this_interface_is_none() -> None:
    with ExitStack() as undo:
        undo.enter_context(holder(socket.AF_PACKET, "near", bypass=False))
        undo.enter_context(holder(socket.AF_PACKET, "far"))
        assert bypassers() == []


def test_another_namespace_has_its_own(host: str) -> None:
    other = f"{host}-2"
    namespace.create(other)
    try:
        with ExitStack() as undo:
            undo.enter_context(holder(socket.AF_PACKET))
            undo.enter_context(holder(AF_XDP))
            with namespace.entered(other):
                assert [each for each in find_bypassers(1) if each is not None] == []
            assert len(bypassers()) == 2
    finally:
        namespace.remove(other)


@pytest.mark.usefixtures("host")
def test_a_long_search_pauses() -> None:
    with ExitStack() as undo:
        for _ in range(DESCRIPTORS_PER_PAUSE):
            near, far = socket.socketpair()
            undo.enter_context(near)
            undo.enter_context(far)
        found = list(find_bypassers(socket.if_nametoindex("near")))
    assert found.count(None) >= 2
