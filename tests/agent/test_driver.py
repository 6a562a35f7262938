# SPDX-License-Identifier: Apache-2.0
"""The driver ends the agent when an effect cannot be carried out, whoever caused the event."""

import asyncio
import io
import os
import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from wlbs.agent.driver import SIGNALS, Books, Driver, Sockets
from wlbs.agent.journal import Journal
from wlbs.agent.logs import Log
from wlbs.control.messages import Refused, Stop
from wlbs.core.address import IpAddress, Mac
from wlbs.core.cluster import Cluster
from wlbs.core.frame import EtherType
from wlbs.core.protocol.journal import Beginning
from wlbs.core.protocol.speaking import Incarnation
from wlbs.core.rules import HostIndex
from wlbs.datapath.loader import Datapath
from wlbs.linux.carrier import Carrier
from wlbs.linux.clock import now
from wlbs.linux.datagram import DatagramSocket
from wlbs.linux.packet import PacketSocket

STATION = Mac.parse("52:00:00:00:00:11")


@contextmanager
def loopback_sockets() -> Iterator[Sockets]:
    """Yield a member's sockets on this machine's loopback, where nobody answers."""
    sockets = Sockets(
        PacketSocket("lo", EtherType.HEARTBEAT),
        DatagramSocket(IpAddress.parse("127.0.0.1")),
        Carrier("lo"),
    )
    try:
        yield sockets
    finally:
        sockets.close()


def test_a_command_that_cannot_be_carried_out_ends_the_agent(
    cluster: Cluster, tmp_path: Path
) -> None:
    pins = Path(f"/sys/fs/bpf/wlbs/test-driver-{os.getpid()}-{secrets.token_hex(2)}")
    datapath = Datapath.load(pins)
    beginning = Beginning(cluster, HostIndex(0), Incarnation(STATION, 1), now())
    books = Books(Log(io.StringIO()), Journal(tmp_path / "j" / "journal", beginning))
    answers = []
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # `run` asks this of its caller
    try:
        with loopback_sockets() as sockets:
            driver = Driver(beginning.member(), datapath, sockets, books, 1.0)

            def break_and_ask() -> None:
                datapath.close()
                answers.append(driver.respond(Stop()))

            with pytest.raises(KeyError):
                asyncio.run(driver.run(tmp_path / "socket", break_and_ask))
    finally:
        books.journal.close()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        Datapath.open(pins).remove()
    assert isinstance(answers[0], Refused)
    assert "ends" in answers[0].because
