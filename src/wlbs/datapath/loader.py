# SPDX-License-Identifier: Apache-2.0
"""Loads, pins and feeds the eBPF programs; what is attached where is for `attachment`.

Knows the names of the programs and maps, and that they outlive the process: everything is pinned,
first under a staged name and then renamed, so that what has the final name is complete. Knows no
decision. The caller has entered the network namespace that it wants served.
"""

import contextlib
import os
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from wlbs.core.cluster import TcHook, XdpMode
from wlbs.core.reason import Reason
from wlbs.core.table import FilterTable
from wlbs.datapath import attachment
from wlbs.datapath.counters import read_counters
from wlbs.datapath.layout import LEASE_REQUEST, TABLE_SIZE, encode
from wlbs.linux import bpffs, libbpf
from wlbs.linux.error import LinuxError

OBJECT: Final = Path(__file__).parent / "bpf" / "wlbs.bpf.o"

PROGRAMS: Final = (
    "wlbs_filter",
    "wlbs_companion",
    "wlbs_guard",
    "wlbs_lease",
    "wlbs_lease_live",
)
MAPS: Final = ("tables", "lease", "counters", "guard_ethertypes")

_FIRST: Final = bytes(4)
_CLOCK_MONOTONIC_COARSE: Final = 6
"""Its resolution is the kernel's tick, 1/HZ (include/uapi/linux/time.h)."""
_NS_PER_SECOND: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Datapath:
    """The programs and maps of one cluster member, pinned under ``pins``."""

    pins: Path
    _descriptors: dict[str, int] = field(repr=False)

    @classmethod
    def load(cls, pins: Path, binary: Path = OBJECT) -> "Datapath":
        """Load the programs and pin them; what an earlier run left under ``pins`` is replaced."""
        bpffs.ensure_mounted()
        staged = _staged(pins)
        shutil.rmtree(staged, ignore_errors=True)
        loaded = libbpf.BpfObject(binary)
        try:
            staged.mkdir(parents=True, mode=0o700)
            for name, descriptor in (*loaded.programs(), *loaded.maps()):
                libbpf.pin(descriptor, staged / _pin_name(name))
            attachment.detach_all(pins)
            shutil.rmtree(pins, ignore_errors=True)
            staged.rename(pins)
        except OSError as error:
            what = f"cannot pin under {pins}: {error.strerror}"
            raise LinuxError(what, f"run as root, with {bpffs.DIRECTORY} writable") from error
        finally:
            loaded.close()
            shutil.rmtree(staged, ignore_errors=True)  # renamed by now, unless something failed
        return cls.open(pins)

    @classmethod
    def open(cls, pins: Path) -> "Datapath":
        """Open what is pinned; LinuxError if nothing is."""
        with contextlib.ExitStack() as undo:
            descriptors = {}
            for name in (*PROGRAMS, *MAPS):
                descriptors[name] = libbpf.open_pinned(pins / name)
                undo.callback(os.close, descriptors[name])
            undo.pop_all()
        return cls(pins, descriptors)

    def close(self) -> None:
        """Close our descriptors; programs, maps and links go on."""
        while self._descriptors:
            os.close(self._descriptors.popitem()[1])

    def descriptor(self, name: str) -> int:
        """Return our file descriptor of a program or map, for tests and measurements."""
        return self._descriptors[name]

    def install(self, table: FilterTable) -> None:
        """Decide every frame from now on by this table: it is swapped as one."""
        inner = libbpf.create_array("table", TABLE_SIZE)
        try:
            libbpf.update(inner, _FIRST, encode(table))
            libbpf.update(self._descriptors["tables"], _FIRST, inner.to_bytes(4, "little"))
        finally:
            os.close(inner)

    def renew_lease(self, duration_ns: int) -> None:
        """Let the filter take new flows for at most this long from now on.

        The kernel's clock moves in ticks, and this one began up to a tick ago: two ticks less, so
        that the lease is out when the others may think so.
        """
        tick_ns = round(time.clock_getres(_CLOCK_MONOTONIC_COARSE) * _NS_PER_SECOND)
        ticks = max(duration_ns // tick_ns - 2, 0)
        libbpf.run(self._descriptors["wlbs_lease"], LEASE_REQUEST.pack(ticks))

    def end_lease(self) -> None:
        """Let the filter take no new flow from now on."""
        libbpf.run(self._descriptors["wlbs_lease"], LEASE_REQUEST.pack(0))

    def lease_live(self) -> bool:
        """Whether the lease is live, by the filter's own clock."""
        return bool(libbpf.run(self._descriptors["wlbs_lease_live"]))

    def counters(self) -> dict[Reason, int]:
        """Return how many frames every reason has had."""
        return read_counters(self._descriptors["counters"])

    def attach_guard(self, ifindex: int, hook: TcHook) -> None:
        """Have every frame that leaves the interface looked at by the guard."""
        guard = self._descriptors["wlbs_guard"]
        attachment.attach_tc(self.pins, guard, attachment.Place(ifindex, "egress"), hook)

    def attach_ingress(self, ifindex: int, xdp: XdpMode, hook: TcHook) -> None:
        """Have every frame that arrives decided: the companion first, then the filter."""
        attachment.refuse_foreign_xdp(self.pins, ifindex)
        companion = self._descriptors["wlbs_companion"]
        attachment.attach_tc(self.pins, companion, attachment.Place(ifindex, "ingress"), hook)
        attachment.attach_xdp(self.pins, self._descriptors["wlbs_filter"], ifindex, xdp)

    def detach(self, ifindex: int) -> None:
        """Take everything of ours off the interface; nothing happens if there is nothing."""
        attachment.detach(self.pins, ifindex)

    def remove(self) -> None:
        """Detach everywhere and unpin everything: the kernel forgets the programs."""
        attachment.detach_all(self.pins)
        self.close()
        shutil.rmtree(self.pins, ignore_errors=True)

    @staticmethod
    def leftovers(pins: Path) -> tuple[Path, ...]:
        """Return what is pinned there, staged or not, in a fixed order."""
        staged = _staged(pins)
        return tuple(
            sorted(path for top in (pins, staged) if top.exists() for path in top.rglob("*"))
        )


def _pin_name(name: str) -> str:
    # A variable's map is named after its section, .bss.lease; the BPF file system refuses dots.
    return name.rpartition(".")[2]


def _staged(pins: Path) -> Path:
    # The BPF file system refuses names with a dot.
    return pins.with_name(f"{pins.name}-staged")
