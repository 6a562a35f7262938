# SPDX-License-Identifier: Apache-2.0
"""Changing a host's installed table from outside: the octets as they are, some of them altered.

Knows how a table is swapped. Knows nothing of what stands in it.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from wlbs.datapath.layout import TABLE_SIZE
from wlbs.datapath.loader import Datapath
from wlbs.linux import libbpf

_FIRST: Final = bytes(4)


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
            _swap(datapath.descriptor("tables"), bytes(data))
    finally:
        datapath.close()


def _swap(tables: int, data: bytes) -> None:
    inner = libbpf.create_array("table", TABLE_SIZE)
    try:
        libbpf.update(inner, _FIRST, data)
        libbpf.update(tables, _FIRST, inner.to_bytes(4, "little"))
    finally:
        os.close(inner)
