# SPDX-License-Identifier: Apache-2.0
"""The answering end of an agent's socket.

Knows one connection: a line in, a line out, and it is over. Only root may connect. Knows nothing
of what the answers are; a callable gives them, at once.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from wlbs.control.messages import (
    LINE_SIZE_MAX,
    Answer,
    MessageError,
    Refused,
    Request,
    decode_request,
    encode_answer,
)

PATIENCE_S: Final = 2.0
"""How long a connection may take to say its line; nobody may hold one open for ever."""

_OWNER_ONLY: Final = 0o177


@asynccontextmanager
async def serve(path: Path, respond: Callable[[Request], Answer]) -> AsyncIterator[None]:
    """Answer at the socket until the block ends; what a dead agent left there is replaced."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _converse(reader, writer, respond)

    server = await asyncio.start_unix_server(converse, sock=_bind(path), limit=LINE_SIZE_MAX)
    try:
        yield
    finally:
        server.close()
        _remove(path)


def _bind(path: Path) -> socket.socket:
    _remove(path)
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(_OWNER_ONLY)
    try:
        channel.bind(str(path))
    finally:
        os.umask(mask)
    return channel


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


async def _converse(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    respond: Callable[[Request], Answer],
) -> None:
    try:
        async with asyncio.timeout(PATIENCE_S):
            line = await reader.readline()
            writer.write(encode_answer(_respond(line, respond)))
            await writer.drain()
    except (TimeoutError, ConnectionError, ValueError):
        pass  # it said nothing, too much, or left: nobody is there to be told
    finally:
        writer.close()


def _respond(line: bytes, respond: Callable[[Request], Answer]) -> Answer:
    try:
        request = decode_request(line)
    except MessageError as error:
        return Refused(str(error))
    return respond(request)
