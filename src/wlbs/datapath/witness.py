# SPDX-License-Identifier: Apache-2.0
"""Loads and attaches the witness, the program that sees who sends past the guard.

Knows that a kernel may refuse it, and that the data path works without. Its pins are in a folder of
their own beside the data path's, which is complete if it has its final name, and goes with the
rest. Knows nothing of what the witness remembers.
"""

import os
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from wlbs.datapath.layout import WATCHED
from wlbs.linux import libbpf, namespace
from wlbs.linux.error import LinuxError, NotSupportedError

OBJECT: Final = Path(__file__).parent / "bpf" / "witness.bpf.o"
FOLDER: Final = "witness"
MAP: Final = "bypasses"

_PROGRAM: Final = "wlbs_witness"
_LINK: Final = "link"
_FIRST: Final = bytes(4)
_TRACE_FENTRY: Final = 24
"""``enum bpf_attach_type``."""


def attach(pins: Path, shared: Mapping[str, int], ifindex: int, binary: Path = OBJECT) -> None:
    """Have whoever sends past the guard of this interface remembered; once is enough.

    ``shared`` are the descriptors of the data path's own maps. NotSupportedError names what keeps
    the kernel from it.
    """
    if (pins / FOLDER).exists():
        return
    try:
        _attach(pins, shared, ifindex, binary)
    except LinuxError as error:
        what = f"who sends past the guard cannot be told on this host: {error.what}"
        remedy = "it needs a kernel with BTF that lets its functions be traced (fentry)"
        raise NotSupportedError(what, remedy) from error


def open_map(pins: Path) -> int | None:
    """Return a new descriptor of what the witness remembers; None if there is no witness."""
    folder = pins / FOLDER
    return libbpf.open_pinned(folder / MAP) if folder.exists() else None


def detach(pins: Path) -> None:
    """End the witness; nothing happens if there is none."""
    # A traced function is let go with the last pin of its link.
    shutil.rmtree(pins / FOLDER, ignore_errors=True)


def _attach(pins: Path, shared: Mapping[str, int], ifindex: int, binary: Path) -> None:
    staged = pins / f"{FOLDER}-staged"
    with ExitStack() as undo:
        loaded = libbpf.BpfObject(binary, shared)
        undo.callback(loaded.close)
        maps = {name.rpartition(".")[2]: descriptor for name, descriptor in loaded.maps()}
        libbpf.update(maps["watched"], _FIRST, WATCHED.pack(namespace.own(), ifindex))
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir(mode=0o700)
        undo.callback(shutil.rmtree, staged, ignore_errors=True)  # renamed, unless something failed
        libbpf.pin(maps[MAP], staged / MAP)
        link = libbpf.create_link(dict(loaded.programs())[_PROGRAM], 0, _TRACE_FENTRY)
        if link < 0:
            what = "cannot trace the kernel"
            raise libbpf.refused(what, -link)
        undo.callback(os.close, link)
        libbpf.pin(link, staged / _LINK)
        staged.rename(pins / FOLDER)
