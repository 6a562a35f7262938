# SPDX-License-Identifier: Apache-2.0
"""Changing a host's installed table from outside: the octets as they are, some of them altered.

Knows which table is installed. Knows nothing of what stands in it.
"""

from collections.abc import Callable
from pathlib import Path

from wlbs.datapath.loader import Datapath


def put(pins: Path, alter: Callable[[bytearray], None]) -> None:
    """Put an altered copy in the place of the installed table; an unaltered one stays.

    Nothing happens before the first table.
    """
    datapath = Datapath.open(pins)
    try:
        installed = datapath.installed()
        if installed is None:
            return
        data = bytearray(installed.data)
        alter(data)
        if data != installed.data:
            datapath.install_encoded(bytes(data))
    finally:
        datapath.close()
