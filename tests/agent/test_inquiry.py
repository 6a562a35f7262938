# SPDX-License-Identifier: Apache-2.0
"""The agent looks for whoever can send past the guard without standing still."""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from wlbs.agent.inquiry import Inquiry
from wlbs.core.sighting import Bypass, Bypasser
from wlbs.linux import namespace
from wlbs.linux.bypass import DESCRIPTORS_PER_PAUSE

DEADLINE_S = 10.0


@pytest.fixture
def loopback() -> Iterator[int]:
    """Yield the index of the only interface of a namespace, in which the test is."""
    name = f"wlbs-test-{os.getpid()}"
    namespace.create(name)
    try:
        with namespace.entered(name):
            yield socket.if_nametoindex("lo")
    finally:
        namespace.remove(name)


def test_others_have_their_turn_while_it_looks(loopback: int) -> None:
    """Two beginnings at once are one search; what it finds is told once, of this process here."""
    pauses_min = 4
    turns = 0
    told: list[tuple[Bypasser, ...]] = []
    failed: list[object] = []

    async def look() -> None:
        nonlocal turns
        again = asyncio.Event()

        def tell(found: tuple[Bypasser, ...]) -> None:
            told.append(found)
            if len(told) == 2:
                again.set()

        asyncio.get_running_loop().set_exception_handler(lambda _, what: failed.append(what))
        inquiry = Inquiry(loopback, tell)
        inquiry.begin()
        inquiry.begin()
        async with asyncio.timeout(DEADLINE_S):
            while not told:
                await asyncio.sleep(0)
                turns += 1
        inquiry.begin()
        async with asyncio.timeout(DEADLINE_S):
            await again.wait()

    with ExitStack() as undo:
        for _ in range(pauses_min * DESCRIPTORS_PER_PAUSE // 2):
            for end in socket.socketpair():
                undo.enter_context(end)
        own = undo.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
        own.setsockopt(263, 20, 1)  # SOL_PACKET, PACKET_QDISC_BYPASS
        asyncio.run(look())
    assert not failed
    assert turns >= pauses_min
    for found in told:
        (only,) = found
        assert (only.sender.process, only.bypass) == (os.getpid(), Bypass.PACKET)
    assert len(told) == 2
