# SPDX-License-Identifier: Apache-2.0
"""Clients open, use and close connections as they are told, and name what goes wrong."""

import errno
import os
import re
import signal
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest

from wlbs.lab.clients import Clients
from wlbs.lab.command import inside, run
from wlbs.lab.cuts import Cuts
from wlbs.lab.names import LabNames
from wlbs.lab.sweep import processes_in
from wlbs.lab.wait import wait_until
from wlbs.linux.error import LinuxError
from wlbs.scenario.draw import Draws, PlannedFlow
from wlbs.scenario.evidence import Attempt, Failure
from wlbs.scenario.steps import BeginAttempts, Cut, OpenConnections, SendFlows, Spread
from wlbs.scenario.topology import Topology

INTERVAL_S = 0.005


@pytest.fixture
def clients(plain_lab: tuple[LabNames, Topology]) -> Iterator[Clients]:
    started = Clients(*plain_lab, lambda _: None)
    yield started
    started.end()


@pytest.fixture
def cuts(plain_lab: tuple[LabNames, Topology]) -> Iterator[Cuts]:
    names, topology = plain_lab
    made = Cuts(names, topology, topology.vmac)
    yield made
    made.close()


@pytest.fixture(scope="module")
def draws(plain_lab: tuple[LabNames, Topology]) -> Draws:
    return Draws(1, plain_lab[1])


def attempts(draws: Draws, count: int) -> tuple[PlannedFlow, ...]:
    return draws.attempts(BeginAttempts("new", 80, INTERVAL_S), count, lambda _: True)


def test_each_connection_is_answered_and_heard_of(
    plain_lab: tuple[LabNames, Topology], draws: Draws
) -> None:
    heard: list[Attempt] = []
    clients = Clients(*plain_lab, heard.append)
    try:
        flows = draws.flows(SendFlows("b", 80, 20, Spread.PORTS))
        clients.send(flows)
    finally:
        clients.end()
    assert [each.answered_by for each in heard] == ["h1"] * 20
    assert {each.source_port for each in heard} == {flow.source_port for flow in flows}
    assert clients.attempts == heard


def test_a_port_that_nobody_listens_on_refuses(clients: Clients, draws: Draws) -> None:
    clients.send(draws.flows(SendFlows("b", 82, 2, Spread.PORTS)))
    assert [each.error for each in clients.attempts] == [Failure.REFUSED] * 2


def test_connections_last_until_they_are_closed(clients: Clients, draws: Draws) -> None:
    clients.open_connections(draws.flows(OpenConnections("lasting", 80, 10)))
    clients.open_connections(draws.flows(OpenConnections("others", 80, 2)))
    clients.wait(0.7)
    clients.close_connections("lasting", "h2")
    clients.close_connections("lasting", "h1")
    clients.report()
    closed = [each for each in clients.connections if each.closed_s is not None]
    assert len(clients.connections) == 12
    assert [each.batch for each in closed] == ["lasting"] * 10
    assert all(each.transfer_count >= 2 and not each.error for each in clients.connections)


def test_connections_vanish_without_a_word(
    plain_lab: tuple[LabNames, Topology], clients: Clients, draws: Draws
) -> None:
    """The other end believes in them, until the port pair comes back and it learns better."""
    names = plain_lab[0]
    flows = draws.flows(OpenConnections("stale", 80, 4))
    clients.open_connections(flows)
    clients.vanish("stale")
    clients.report()
    assert all(each.closed_s and not each.error for each in clients.connections)
    ports = {flow.source_port for flow in flows}
    assert not ports & (established(names, "c1") | established(names, "c2"))
    assert ports <= established(names, "h1")
    clients.send(flows)
    assert [each.answered_by for each in clients.attempts] == ["h1"] * 4
    assert not ports & established(names, "h1")


def established(names: LabNames, node: str) -> set[int]:
    """Return the ports, of either end, of what a node believes to be open."""
    words = ("ss", "--no-header", "--tcp", "--numeric", "state", "established")
    shown = run(inside(names.namespace(node), *words))
    return {int(port) for port in re.findall(r":(\d+)\b", shown)}


def test_attempts_keep_their_schedule_while_all_of_them_fail(
    clients: Clients, draws: Draws, cuts: Cuts
) -> None:
    cuts.cut(Cut("h1", None))
    began_s = time.time()
    clients.begin_attempts(attempts(draws, 400), INTERVAL_S)
    clients.wait(1.0)
    clients.end_attempts("new")
    starts = sorted(each.at_s - began_s for each in clients.attempts)
    # The client's kernel gives up first where it has to ask for the hardware address again.
    unreachable = f"[Errno {errno.EHOSTUNREACH}]"
    assert all(
        each.error == Failure.SILENT or unreachable in each.error for each in clients.attempts
    )
    assert 150 < len(starts) < 250
    # Half a heartbeat's period: two processors are shared with whatever else this machine does.
    assert max(b - a for a, b in pairwise(starts)) < 0.05


def test_attempts_that_run_out_are_no_evidence(clients: Clients, draws: Draws) -> None:
    clients.begin_attempts(attempts(draws, 4), INTERVAL_S)
    wait_until(lambda: _has(clients, 4), "four attempts", seconds=5)
    with pytest.raises(LinuxError, match="ran out"):
        clients.end_attempts("new")


def test_a_connection_without_an_answer_is_broken(
    clients: Clients, draws: Draws, cuts: Cuts
) -> None:
    clients.open_connections(draws.flows(OpenConnections("lasting", 80, 2)))
    cuts.cut(Cut("h1", None))
    clients.wait(2.7)
    cuts.heal()
    clients.report()
    assert [each.error for each in clients.connections] == [Failure.SILENT] * 2
    assert all(each.answered_by == "h1" for each in clients.connections)


def test_a_client_that_dies_is_told(plain_lab: tuple[LabNames, Topology], clients: Clients) -> None:
    clients.read()
    for process in processes_in(plain_lab[0].namespace("c1")):
        os.kill(process, signal.SIGKILL)

    def is_told() -> bool:
        try:
            clients.read()
        except LinuxError as error:
            return "client c1 ended" in error.what
        return False

    wait_until(is_told, "the death of a client to be told", seconds=5)


def _has(clients: Clients, count: int) -> bool:
    clients.read()
    return len(clients.attempts) >= count
