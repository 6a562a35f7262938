# SPDX-License-Identifier: Apache-2.0
"""What is said over an agent's socket: one line of JSON each way.

Knows every request and answer and their text. Knows nothing of sockets. Both ends are of one
version, so what does not read is a mistake, not a peer to be lenient with.
"""

import json
from dataclasses import asdict, dataclass
from typing import Final, assert_never, cast

from wlbs.core.protocol.effects import State
from wlbs.core.protocol.status import CaptureStatus, HealingStatus, HostStatus, Status

LINE_SIZE_MAX: Final = 1 << 20
"""64 hosts with 33 shares each and all counters take 40 KB; a longer line is no message."""


class MessageError(ValueError):
    """A line that is no message."""


@dataclass(frozen=True, slots=True)
class Query:
    """Say how you see the cluster."""


@dataclass(frozen=True, slots=True)
class Start:
    """Take part."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Leave at once, and cut your connections."""


@dataclass(frozen=True, slots=True)
class Drainstop:
    """Take nothing new, and stop when your last connection has ended."""


Request = Query | Start | Stop | Drainstop


@dataclass(frozen=True, slots=True)
class Done:
    """What was asked for is done; ``said`` tells it in words, empty after a query."""

    status: Status
    said: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was done, and why."""

    because: str


Answer = Done | Refused


_ASKS: Final[dict[str, Request]] = {
    "query": Query(),
    "start": Start(),
    "stop": Stop(),
    "drainstop": Drainstop(),
}


def encode_request(request: Request) -> bytes:
    """Return a request as its line."""
    words = {type(each): word for word, each in _ASKS.items()}
    return _line({"ask": words[type(request)]})


def decode_request(line: bytes) -> Request:
    """Read a request; MessageError says what is wrong with the line."""
    match _fields(line):
        case {"ask": str() as word} if word in _ASKS:
            return _ASKS[word]
        case _:
            what = f"not a request: {line[:80]!r}"
            raise MessageError(what)


def encode_answer(answer: Answer) -> bytes:
    """Return an answer as its line."""
    match answer:
        case Done(status, said):
            return _line({"done": asdict(status), "said": said})
        case Refused(because):
            return _line({"refused": because})
        case _:
            assert_never(answer)


def decode_answer(line: bytes) -> Answer:
    """Read an answer; MessageError says what is wrong with the line."""
    match _fields(line):
        case {"done": dict() as status, "said": str() as said}:
            return Done(decode_status(cast("dict[str, object]", status)), said)
        case {"refused": str() as because}:
            return Refused(because)
        case _:
            what = f"not an answer: {line[:80]!r}"
            raise MessageError(what)


def decode_status(fields: dict[str, object]) -> Status:
    """Read a status; MessageError if a field is missing or unknown."""
    try:
        hosts = cast("list[dict[str, object]]", fields["hosts"])
        plain = {
            **fields,
            "state": State(str(fields["state"])),
            "hosts": tuple(_host(host) for host in hosts),
            "capture": _capture(cast("dict[str, object]", fields["capture"])),
        }
        return Status(**plain)  # type: ignore[arg-type]  # the other end made it of a Status
    except (KeyError, TypeError, ValueError) as error:
        what = f"not a status: {error}"
        raise MessageError(what) from error


def _host(fields: dict[str, object]) -> HostStatus:
    shares = tuple(cast("list[int]", fields["shares"]))
    return HostStatus(**{**fields, "shares": shares})  # type: ignore[arg-type]


def _capture(fields: dict[str, object]) -> CaptureStatus:
    steps = cast("list[dict[str, object]]", fields["steps"])
    taken = tuple(HealingStatus(**each) for each in steps)  # type: ignore[arg-type]
    return CaptureStatus(**{**fields, "steps": taken})  # type: ignore[arg-type]


def _fields(line: bytes) -> object:
    try:
        return json.loads(line)
    except ValueError as error:
        what = f"not JSON: {line[:80]!r}"
        raise MessageError(what) from error


def _line(fields: dict[str, object]) -> bytes:
    return json.dumps(fields).encode() + b"\n"
