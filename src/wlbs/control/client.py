# SPDX-License-Identifier: Apache-2.0
"""The asking end of an agent's socket: one question, one answer, and a limit to the waiting.

Knows how to say that nobody answers and what to type then. Knows nothing of what is asked.
"""

import socket
from pathlib import Path
from typing import Final

from wlbs.control.messages import (
    LINE_SIZE_MAX,
    Answer,
    MessageError,
    Request,
    decode_answer,
    encode_request,
)
from wlbs.linux.error import LinuxError

TIMEOUT_S: Final = 2.0
"""An agent answers within milliseconds; one that does not in this time is stuck."""


def ask(path: Path, request: Request) -> Answer:
    """Put a request to the agent behind the socket; LinuxError if none answers."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
            channel.settimeout(TIMEOUT_S)
            channel.connect(str(path))
            channel.sendall(encode_request(request))
            with channel.makefile("rb") as lines:
                return decode_answer(lines.readline(LINE_SIZE_MAX))
    except PermissionError as error:
        what = f"the agent's socket {path} is not yours to use"
        raise LinuxError(what, "run as root, or with sudo") from error
    except (FileNotFoundError, ConnectionRefusedError) as error:
        what = f"no agent answers at {path}"
        remedy = (
            "start one: wlbs agent CONFIG; if it runs under another name: --instance NAME"
            f" (here are: {_others(path)})"
        )
        raise LinuxError(what, remedy) from error
    except TimeoutError as error:
        what = f"the agent at {path} does not answer within {TIMEOUT_S:g} s"
        raise LinuxError(what, "see whether it is stopped or starved: ps -C wlbs") from error
    except (MessageError, OSError) as error:
        what = f"the agent at {path} broke off: {error}"
        raise LinuxError(what, "see its log for the reason") from error


def _others(path: Path) -> str:
    names = sorted(each.parent.name for each in path.parent.parent.glob("*/control.sock"))
    return ", ".join(names) or "none"
