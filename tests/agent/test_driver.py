# SPDX-License-Identifier: Apache-2.0
"""The driver ends the agent when an effect cannot be carried out, whoever caused the event."""

import asyncio
import io
import signal
from pathlib import Path

import pytest

from wlbs.agent.driver import SIGNALS, Driver
from wlbs.agent.logs import Log
from wlbs.control.messages import Refused, Stop
from wlbs.core.address import Mac
from wlbs.core.cluster import Cluster
from wlbs.core.protocol.events import Instant
from wlbs.core.protocol.member import Member
from wlbs.core.rules import HostIndex
from wlbs.datapath.loader import Datapath

STATION = Mac.parse("52:00:00:00:00:11")


def test_a_command_that_cannot_be_carried_out_ends_the_agent(
    cluster: Cluster, tmp_path: Path
) -> None:
    pins = Path("/sys/fs/bpf/wlbs/test-driver")
    datapath = Datapath.load(pins)
    member = Member(cluster, HostIndex(0), STATION, Instant(0))
    driver = Driver(cluster, member, datapath, Log(io.StringIO()))
    answers = []

    def break_and_ask() -> None:
        datapath.close()
        answers.append(driver.respond(Stop("host2")))

    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # `run` asks this of its caller
    try:
        with pytest.raises(KeyError):
            asyncio.run(driver.run(tmp_path / "socket", break_and_ask))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        Datapath.open(pins).remove()
    assert isinstance(answers[0], Refused)
    assert "ends" in answers[0].because
