# SPDX-License-Identifier: Apache-2.0
"""Loads, pins and feeds the eBPF programs; what is attached where is for `attachment`.

Knows the names of the programs and maps, and that they outlive the process: everything is pinned,
first under a staged name and then renamed, so that what has the final name is complete. Knows no
decision. The caller has entered the network namespace that it wants served.
"""

import contextlib
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from wlbs.core.census import Census
from wlbs.core.cluster import TcHook, XdpMode
from wlbs.core.protocol.events import DeliveriesCounted, Instant
from wlbs.core.reason import Reason
from wlbs.core.sighting import Sighting
from wlbs.core.table import FilterTable
from wlbs.datapath import attachment, lease, witness
from wlbs.datapath.census import read_census
from wlbs.datapath.counters import read_counters, read_delivery_probes
from wlbs.datapath.layout import TABLE_COUNT, TABLE_SIZE, Installed, encode
from wlbs.datapath.lease import Marks
from wlbs.datapath.sightings import Lookout
from wlbs.linux import bpffs, libbpf
from wlbs.linux.clock import calendar_ns
from wlbs.linux.error import LinuxError

OBJECT: Final = Path(__file__).parent / "bpf" / "wlbs.bpf.o"

PROGRAMS: Final = (
    "wlbs_filter",
    "wlbs_companion",
    "wlbs_guard",
    "wlbs_lease",
    "wlbs_lease_live",
    "wlbs_reset_marks",
    "wlbs_census",
)
MAPS: Final = (
    "tables",
    "active",
    "lease",
    "counters",
    "departures",
    "arrivals",
    "sighted",
    "delivery_probes",
)

_FIRST: Final = bytes(4)
_ENDED: Final = Instant(0)


@dataclass(frozen=True, slots=True)
class Datapath:
    """The programs and maps of one cluster member, pinned under ``pins``."""

    pins: Path
    _descriptors: dict[str, int] = field(repr=False)
    _lookout: Lookout = field(repr=False)

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
            _name_load(staged / "lease")
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
            bypasses = witness.open_map(pins)
            if bypasses is not None:
                descriptors[witness.MAP] = bypasses
            undo.pop_all()
        return cls(pins, descriptors, Lookout(descriptors))

    def close(self) -> None:
        """Close our descriptors; programs, maps and links go on."""
        while self._descriptors:
            os.close(self._descriptors.popitem()[1])

    def descriptor(self, name: str) -> int:
        """Return our file descriptor of a program or map, for tests and measurements."""
        return self._descriptors[name]

    def install(self, table: FilterTable) -> None:
        """Decide every frame from now on by this table: it is swapped as one."""
        self.install_encoded(encode(table))

    def install_encoded(self, data: bytes) -> None:
        """Decide every frame from now on by a table as `layout` encodes it."""
        active = self._active()
        following = active % TABLE_COUNT  # the index of the table after it: they count from 1
        libbpf.update(self._descriptors["tables"], _number(following), data)
        libbpf.update(self._descriptors["active"], _FIRST, _number(following + 1))

    def installed(self) -> Installed | None:
        """Return the table by which frames are decided now; None before the first."""
        active = self._active()
        if not active:
            return None
        data = libbpf.lookup(self._descriptors["tables"], _number(active - 1), TABLE_SIZE)
        assert data is not None, "what is in force is there"
        return Installed(data)

    def _active(self) -> int:
        """Return which table is in force, counted from 1; 0 before the first."""
        value = libbpf.lookup(self._descriptors["active"], _FIRST, len(_FIRST))
        assert value is not None, "an array has its first entry"
        return int.from_bytes(value, "little")

    def hold_lease(self, until: Instant) -> None:
        """Let the filter take new flows until this instant and no longer.

        The kernel's program works out what remains when it runs, not when it was asked: an agent
        that was stopped in between holds no longer than it meant to.
        """
        lease.hold(self._descriptors["wlbs_lease"], until)

    def end_lease(self) -> None:
        """Let the filter take no new flow from now on."""
        lease.hold(self._descriptors["wlbs_lease"], _ENDED)

    def lease_live(self) -> bool:
        """Whether the lease is live, by the filter's own clock."""
        return bool(libbpf.run(self._descriptors["wlbs_lease_live"]))

    def marks(self) -> Marks:
        """Return when this host last opened a flow, and first in a bucket it took over."""
        return lease.read_marks(self._descriptors["lease"])

    def reset_marks(self) -> None:
        """Forget the marks: both are 'never' again."""
        libbpf.run(self._descriptors["wlbs_reset_marks"])

    def boot_nonce(self) -> int:
        """Return this load's number: it outlives the agent, and a later load's is larger."""
        return lease.read_boot_nonce(self._descriptors["lease"])

    def counters(self) -> dict[Reason, int]:
        """Return how many frames every reason has had."""
        return read_counters(self._descriptors["counters"])

    def deliveries(self, host_count: int) -> DeliveriesCounted:
        """Return what was counted of the delivery probes of so many hosts, and from the VMAC."""
        return DeliveriesCounted(
            read_delivery_probes(self._descriptors["delivery_probes"], host_count),
            self._lookout.news(),
            self.has_witness(),
        )

    def sightings(self) -> tuple[Sighting, ...]:
        """Return what was seen of frames from the VMAC; the very same tuple if that is nothing new.

        Of what was sent past the guard only while there is a witness.
        """
        return self._lookout.sightings()

    def has_witness(self) -> bool:
        """Whether it is seen who sends past the guard."""
        return witness.MAP in self._descriptors

    def census(self) -> Census:
        """Return which connections to virtual IPs this host has; by the installed table.

        One at a time, and only with a table installed: a programmer's error otherwise.
        """
        counted = read_census(self._descriptors["wlbs_census"])
        assert counted is not None, "install a table first"
        return counted

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

    def attach_witness(self, ifindex: int, binary: Path = witness.OBJECT) -> None:
        """Have it seen who sends past the guard of the interface, which is one of the caller's.

        NotSupportedError says why this kernel cannot; everything else works without.
        """
        shared = {name: self._descriptors[name] for name in MAPS}
        witness.attach(self.pins, shared, ifindex, binary)
        if not self.has_witness():
            self._descriptors[witness.MAP] = libbpf.open_pinned(
                self.pins / witness.FOLDER / witness.MAP
            )

    def detach(self, ifindex: int) -> None:
        """Take everything of ours off the interface; nothing happens if there is nothing."""
        attachment.detach(self.pins, ifindex)
        witness.detach(self.pins)
        if self.has_witness():
            os.close(self._descriptors.pop(witness.MAP))

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


def _number(value: int) -> bytes:
    return value.to_bytes(4, "little")


def _name_load(pinned_lease: Path) -> None:
    descriptor = libbpf.open_pinned(pinned_lease)
    try:
        lease.write_boot_nonce(descriptor, calendar_ns())
    finally:
        os.close(descriptor)


def _pin_name(name: str) -> str:
    # A variable's map is named after its section, as .bss.lease; the BPF file system refuses dots.
    return name.rpartition(".")[2]


def _staged(pins: Path) -> Path:
    # The BPF file system refuses names with a dot.
    return pins.with_name(f"{pins.name}-staged")
