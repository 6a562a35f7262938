# SPDX-License-Identifier: Apache-2.0
"""Putting another filter in the place of the one a host runs, on the maps it has.

Knows pinned links and maps. Knows nothing of what is wrong with the other filter.
"""

import contextlib
import os
from pathlib import Path
from typing import Final

from wlbs.linux import libbpf

PROGRAMS: Final = Path(__file__).parent / "bpf"
"""Where the variants are, each the product's programs with one fault."""

_FILTER: Final = "wlbs_filter"


def replace_filter(pins: Path, binary: str) -> None:
    """Have the host's XDP link run the filter of this variant from now on.

    It decides by the tables, holds the lease and counts in the counters that are pinned. Whoever
    loads the programs anew has the right filter again.
    """
    with contextlib.ExitStack() as undo:

        def pinned(name: str) -> int:
            # A variable's map is named after its section, and pinned by the last part of that.
            descriptor = libbpf.open_pinned(pins / name.rpartition(".")[2])
            undo.callback(os.close, descriptor)
            return descriptor

        variant = libbpf.BpfObject(PROGRAMS / f"{binary}.bpf.o", reused=pinned)
        undo.callback(variant.close)
        (link,) = (pin.name for pin in pins.glob("link-*-xdp"))
        libbpf.update_link(pinned(link), dict(variant.programs())[_FILTER])
