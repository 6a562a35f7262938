# SPDX-License-Identifier: Apache-2.0
"""Both ends of the control socket: every message survives the wire, every failure has words."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from wlbs.control import client
from wlbs.control.messages import (
    Answer,
    Done,
    Drainstop,
    MessageError,
    Query,
    Refused,
    Request,
    Start,
    Stop,
    decode_answer,
    decode_request,
    encode_answer,
    encode_request,
)
from wlbs.control.server import serve
from wlbs.core.protocol.effects import State
from wlbs.core.protocol.status import CaptureStatus, HealingStatus, HostStatus, Status
from wlbs.linux.error import LinuxError

STATUS = Status(
    cluster="web",
    mode="stealth",
    primary_ip="10.0.0.100",
    vmac="02:bf:0a:00:00:64",
    timing="default",
    own_priority=1,
    state=State.CONVERGED,
    lease_live=True,
    flagged_count=3,
    left_count=2,
    capture=CaptureStatus(
        finding="captured",
        means="captured by a host's port",
        captor=2,
        receiver=2,
        because="probes of 2 other hosts arrive here",
        ms_ago=1200,
        steps=(HealingStatus("relay", "this host gets every frame", 1200),),
    ),
    hosts=(
        HostStatus(
            priority=1,
            name="h1",
            dedicated_ip="10.0.0.1",
            state="converged",
            present=True,
            is_default_host=True,
            shares=(4096, 7),
            heard_ms_ago=None,
            boot_nonce=77,
        ),
    ),
    counters={"OWNER": 12},
    refusals={"FORGED": 1},
)


@contextmanager
def serving(path: Path) -> Iterator[list[Request]]:
    asked: list[Request] = []
    up = threading.Event()
    loop = asyncio.new_event_loop()
    over = asyncio.Event()

    def respond(request: Request) -> Answer:
        asked.append(request)
        return Done(STATUS, "said")

    async def run() -> None:
        async with serve(path, respond):
            up.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    try:
        assert up.wait(5)
        yield asked
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(5)
        loop.close()


@pytest.mark.parametrize("request_", [Query(), Start(), Stop(), Drainstop()])
def test_a_request_survives_the_wire(request_: Request) -> None:
    assert decode_request(encode_request(request_)) == request_


@pytest.mark.parametrize("answer", [Done(STATUS), Done(STATUS, "said"), Refused("no")])
def test_an_answer_survives_the_wire(answer: Answer) -> None:
    assert decode_answer(encode_answer(answer)) == answer


@pytest.mark.parametrize(
    "line", [b"", b"\n", b"{", b"[]", b'{"ask": "halt"}', b'{"ask": 3}', b"\xff"]
)
def test_what_is_no_message_is_refused(line: bytes) -> None:
    with pytest.raises(MessageError):
        decode_request(line)
    with pytest.raises(MessageError):
        decode_answer(line)


@pytest.mark.parametrize("line", [b'{"done": {}, "said": ""}', b'{"done": {"hosts": []}}'])
def test_half_a_status_is_refused(line: bytes) -> None:
    with pytest.raises(MessageError):
        decode_answer(line)


def test_a_question_is_answered_over_a_socket_only_root_may_use(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    path.touch()  # what a dead agent left is in nobody's way
    with serving(path) as asked:
        assert path.stat().st_mode & 0o777 == 0o600
        assert client.ask(path, Stop()) == Done(STATUS, "said")
        with socket.socket(socket.AF_UNIX) as channel:
            channel.connect(str(path))
            channel.sendall(b"nonsense\n")
            assert b"refused" in channel.recv(1000)
    assert asked == [Stop()]
    assert not path.exists()


def test_when_nobody_answers_it_says_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(LinuxError, match=r"no agent answers.*wlbs agent CONFIG"):
        client.ask(tmp_path / "x" / "control.sock", Query())


def test_an_agent_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "TIMEOUT_S", 0.05)
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(path))
        silent.listen()
        with pytest.raises(LinuxError, match="does not answer"):
            client.ask(path, Query())
