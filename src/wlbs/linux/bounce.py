# SPDX-License-Identifier: Apache-2.0
"""Takes an interface down and up again, so that a switch forgets what it learned at the port.

Taking an interface down loses its routes; they are put back. A process of its own, so that the
agent, which must neither block nor be cut short between down and up, only starts it. Knows nothing
of why.
"""

import subprocess
import sys
import time
from typing import Final

DOWN_S: Final = 0.1
"""How long the link is down: switches flush a port at once when it loses its carrier."""

_FAMILIES: Final = ("-4", "-6")


def start(interface: str) -> None:
    """Begin to bounce an interface of this network namespace, and return at once."""
    subprocess.Popen(
        (sys.executable, "-m", "wlbs.linux.bounce", interface),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )


def bounce(interface: str) -> None:
    """Take the interface down and up, and put back the routes that went with it."""
    routes = {family: _ip(family, "route", "save", "dev", interface) for family in _FAMILIES}
    _ip("link", "set", interface, "down")
    time.sleep(DOWN_S)
    _ip("link", "set", interface, "up")
    for family, saved in routes.items():
        # What the kernel makes by itself with the address is there already, and said to be.
        _ip(family, "route", "restore", given=saved)


def _ip(*words: str, given: bytes = b"") -> bytes:
    return subprocess.run(("ip", *words), input=given, capture_output=True, check=False).stdout


if __name__ == "__main__":
    bounce(sys.argv[1])
