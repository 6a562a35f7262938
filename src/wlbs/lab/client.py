# SPDX-License-Identifier: Apache-2.0
"""A program of its own: opens connections as one client and says what came of each.

Run inside a client's namespace as ``python -m wlbs.lab.client VIP``. Reads one JSON line per flow
on its input, writes one JSON line per flow on its output as each ends. Knows HTTP and addresses;
nothing of hosts or of who should answer.
"""

import http.client
import json
import os
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Final

CONCURRENCY: Final = 6
"""Connections at once: enough to overlap, few enough for two processors to keep up with."""

TIMEOUT_S: Final = 2.5
"""One lost SYN is sent again after 1 s; an answer that takes longer than two is none."""

FAILURE_COUNT_MAX: Final = 40
"""After so many failures the rest is not tried: the point is made, and each costs a timeout."""


class Client:
    """One client at work on its flows."""

    def __init__(self, vip: str) -> None:
        """Begin with no failure."""
        self._vip = vip
        self._failure_count = 0
        self._printing = Lock()

    def open(self, flow: Mapping[str, str | int]) -> None:
        """Open one connection, ask once, and print what came of it."""
        began = time.time()
        answered_by, error = None, "not tried after so many failures"
        if self._failure_count < FAILURE_COUNT_MAX:
            answered_by, error = self._ask(flow)
        with self._printing:
            self._failure_count += answered_by is None
            outcome = {**flow, "began": began, "answered_by": answered_by, "error": error}
            # In one piece: other clients write to the same pipe.
            os.write(sys.stdout.fileno(), f"{json.dumps(outcome)}\n".encode())

    def _ask(self, flow: Mapping[str, str | int]) -> tuple[str | None, str]:
        source = (str(flow["source"]), int(flow["source_port"]))
        connection = http.client.HTTPConnection(
            self._vip, int(flow["server_port"]), timeout=TIMEOUT_S, source_address=source
        )
        try:
            connection.request("GET", "/")
            return connection.getresponse().read().decode().strip(), ""
        except (OSError, http.client.HTTPException) as error:
            return None, f"{type(error).__name__}: {error}"
        finally:
            connection.close()


def main() -> None:
    """Work through the input."""
    client = Client(sys.argv[1])
    flows = [json.loads(line) for line in sys.stdin]
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        list(pool.map(client.open, flows))


if __name__ == "__main__":
    main()
