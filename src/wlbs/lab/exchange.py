# SPDX-License-Identifier: Apache-2.0
"""One client's connections to the service, by asyncio: opened once, or kept open and used.

Knows HTTP as far as the lab's service speaks it, sockets, and how failures are named. Knows
nothing of orders, batches or hosts.
"""

import asyncio
import re
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from wlbs.scenario.evidence import Failure

PATIENCE_S: Final = 2.0
"""A lost segment of an open connection is sent again after 0.2 s and twice that (Linux's least
retransmission timeout, doubled); an answer that three of them do not bring is none."""

ATTEMPT_S_MAX: Final = 3.5
"""How long an attempt may take to be open. A lost SYN is sent again after 1 s and, if that one is
lost too, after 3 s (RFC 6298, 2.1 and 5.5); recent kernels are quicker."""

TRANSFER_S: Final = 0.3
"""Between an answer and the next question on a connection that lasts."""

_TCP_REPAIR: Final = 19
"""``include/uapi/linux/tcp.h``: a socket closed in repair mode goes without a word (Linux 3.5)."""

_LENGTH: Final = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
_HEAD_END: Final = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Flow:
    """One connection a client is to open."""

    source: str
    source_port: int
    server_port: int


class FailedError(Exception):
    """A connection failed; the argument says how, in the words of `Failure`."""


def failure_of(error: BaseException | None) -> str:
    """Return the word for what went wrong; None stands for an end without an answer."""
    match error:
        case None:
            return Failure.CLOSED
        case FailedError():
            return str(error)
        case TimeoutError():
            return Failure.SILENT
        case ConnectionRefusedError():
            return Failure.REFUSED
        case ConnectionResetError() | BrokenPipeError():
            return Failure.RESET
        case _:
            return f"{Failure.OTHER}: {error}"


class Exchange(asyncio.Protocol):
    """One open connection: questions go out, answers are told as they are complete."""

    def __init__(
        self, on_answer: Callable[[str], None], on_lost: Callable[[Exception | None], None]
    ) -> None:
        """Know who wants to hear."""
        self._on_answer = on_answer
        self._on_lost = on_lost
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Tell an answer when it is complete."""
        self._received += data
        head, found, body = self._received.partition(_HEAD_END)
        length = _LENGTH.search(head + b"\r\n")
        if found and length and len(body) >= int(length[1]):
            self._received = b""
            self._on_answer(body.decode().strip())

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell that the connection is gone."""
        self._on_lost(exc)

    def ask(self, path: str, *, last: bool) -> None:
        """Send one question; after the last one the service closes."""
        assert self._transport is not None, "asked before it was open"
        end = "close" if last else "keep-alive"
        words = f"GET {path} HTTP/1.1\r\nHost: cluster\r\nConnection: {end}\r\n\r\n"
        self._transport.write(words.encode())

    def close(self) -> None:
        """Close in good order: by FIN, which is sent again until somebody acknowledges it."""
        if self._transport is not None:
            self._transport.close()

    def vanish(self) -> None:
        """Let this machine forget the connection; the other end is told nothing."""
        assert self._transport is not None, "only what is open can be forgotten"
        held = self._transport.get_extra_info("socket")
        held.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR, 1)
        self._transport.abort()


async def connect(vip: str, flow: Flow, exchange: Exchange) -> None:
    """Open a connection from the flow's own address and port."""
    loop = asyncio.get_running_loop()
    with socket.socket() as opening:
        opening.setblocking(False)  # noqa: FBT003 - the standard library's own signature
        # A port pair may come back while its last connection lingers.
        opening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opening.bind((flow.source, flow.source_port))
        await loop.sock_connect(opening, (vip, flow.server_port))
        kept = socket.socket(fileno=opening.detach())
    await loop.create_connection(lambda: exchange, sock=kept)


async def ask_once(vip: str, flow: Flow, on_end: Callable[[str | None, str], None]) -> None:
    """Open a connection, ask once, tell who answered or what went wrong, and see it closed."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[str] = loop.create_future()
    lost: asyncio.Future[None] = loop.create_future()

    def take_answer(body: str) -> None:
        if not answer.done():
            answer.set_result(body)

    def take_loss(error: Exception | None) -> None:
        if not answer.done():
            answer.set_exception(FailedError(failure_of(error)))
        if not lost.done():
            lost.set_result(None)

    exchange = Exchange(take_answer, take_loss)
    try:
        async with asyncio.timeout(ATTEMPT_S_MAX):
            await connect(vip, flow, exchange)
        async with asyncio.timeout(PATIENCE_S):
            exchange.ask("/", last=True)
            answered_by = await answer
    except (OSError, TimeoutError, FailedError) as error:
        on_end(None, failure_of(error))
        exchange.close()
        answer.cancel()
        return
    on_end(answered_by, "")
    try:
        async with asyncio.timeout(ATTEMPT_S_MAX):
            await lost
    except TimeoutError:
        exchange.close()


class Lasting:
    """One connection that stays open and transfers something again and again."""

    def __init__(self, vip: str, flow: Flow) -> None:
        """Not open yet."""
        self._vip = vip
        self.flow = flow
        self.opened_s = time.time()
        self.answered_by: str | None = None
        self.transfer_count = 0
        self.last_transfer_s = self.opened_s
        self.closed_s: float | None = None
        self.error = ""
        self._asked_s: float | None = None
        self._next: asyncio.TimerHandle | None = None
        self._leave: Callable[[], None] | None = None
        self._settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._exchange = Exchange(self._take_answer, self._take_loss)

    @property
    def is_over(self) -> bool:
        """Whether it was closed or has broken."""
        return self._ended.done()

    async def open(self) -> None:
        """Open it and return with the first answer, or when it has failed."""
        try:
            async with asyncio.timeout(ATTEMPT_S_MAX):
                await connect(self._vip, self.flow, self._exchange)
                self._ask()
                await self._settled
        except (OSError, TimeoutError) as error:
            self._fail(failure_of(error))

    async def close(self) -> None:
        """Close it once the answer under way is complete; return when it is closed or broken.

        To close with an answer outstanding would send a reset, which nobody here wants to see.
        """
        await self._leave_by(self._exchange.close)

    async def vanish(self) -> None:
        """Forget it once the answer under way is complete; return when it is forgotten or broken.

        To be asked by an answer what became of the question would betray us: a reset.
        """
        await self._leave_by(self._exchange.vanish)

    def check(self, now_s: float) -> None:
        """Give up if an answer has been outstanding for too long."""
        if self._asked_s is not None and now_s - self._asked_s > PATIENCE_S:
            self._fail(Failure.SILENT)

    def _ask(self) -> None:
        self._asked_s = time.time()
        self._exchange.ask("/lasting", last=False)

    def _take_answer(self, body: str) -> None:
        if self.is_over:
            return
        self.answered_by = self.answered_by or body
        self.transfer_count += 1
        self.last_transfer_s = time.time()
        self._asked_s = None
        if not self._settled.done():
            self._settled.set_result(None)
        if self._leave is not None:
            self._end()
        else:
            self._next = asyncio.get_running_loop().call_later(TRANSFER_S, self._ask)

    def _take_loss(self, error: Exception | None) -> None:
        if not self.is_over:
            self._fail(failure_of(error))

    async def _leave_by(self, leave: Callable[[], None]) -> None:
        """Leave when no answer is outstanding; return when it is over."""
        self._leave = leave
        if self._asked_s is None:
            self._end()
        await self._ended

    def _end(self) -> None:
        if self.is_over:
            return
        assert self._leave is not None, "ends when it is told how"
        self.closed_s = time.time()
        self._leave()
        self._settle()

    def _fail(self, words: str) -> None:
        if self.is_over:
            return
        self.error = words
        self._exchange.close()
        self._settle()

    def _settle(self) -> None:
        self._asked_s = None
        if self._next is not None:
            self._next.cancel()
        for future in (self._settled, self._ended):
            if not future.done():
                future.set_result(None)
