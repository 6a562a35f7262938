# SPDX-License-Identifier: Apache-2.0
"""Where a monitor sits: on which interface, and around which instance's filter.

Knows that a filter is known by its number in the kernel, because the numbers of interfaces mean
something only in their own network namespace. Knows nothing of capturing.
"""

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wlbs.core.address import Mac
from wlbs.linux import libbpf, link
from wlbs.linux.error import LinuxError
from wlbs.linux.instance import Instance
from wlbs.linux.outlet import device_mac
from wlbs.linux.program import program_id, xdp_program

FILTER: Final = "wlbs_filter"
_VMAC_PREFIX: Final = bytes.fromhex("02bf")
"""How the virtual MAC begins in unicast mode (KB4494444)."""


@dataclass(frozen=True, slots=True)
class Place:
    """One interface of the namespace the caller is in."""

    interface: str
    index: int
    pins: Path | None
    """Of the instance whose filter runs here; None if there is none to be below of."""

    @property
    def mac(self) -> Mac:
        """The address of the device, now."""
        return device_mac(self.interface)

    @property
    def has_vmac(self) -> bool:
        """Whether the device bears a cluster's virtual MAC: it must not leave unmasked."""
        return self.mac.octets.startswith(_VMAC_PREFIX)

    def is_there(self) -> bool:
        """Whether the interface is, and still has the filter that it had."""
        return _runs_at(self.index, self.pins) if self.pins else _exists(self.index)


def find_place(interface: str | None, instance: Instance) -> Place:
    """Return an interface by name, or the one that the instance's filter is on."""
    if interface is not None:
        index = link.find(interface).index
        return Place(interface, index, instance.pins if _runs_at(index, instance.pins) else None)
    for path in sorted(instance.pins.glob("link-*-xdp")):
        index = int(path.name.split("-")[1])
        if _runs_at(index, instance.pins):
            return Place(socket.if_indextoname(index), index, instance.pins)
    what = f"instance {instance.name} has its filter on no interface here"
    raise LinuxError(what, "name an interface (wlbs monitor eth0) or another --instance")


def _runs_at(index: int, pins: Path) -> bool:
    """Whether the interface of this number here runs the filter that is pinned there."""
    running = xdp_program(index) if _exists(index) else None
    if running is None or not (pins / FILTER).exists():
        return False
    descriptor = libbpf.open_pinned(pins / FILTER)
    try:
        return program_id(descriptor) == running
    finally:
        os.close(descriptor)


def _exists(index: int) -> bool:
    try:
        socket.if_indextoname(index)
    except OSError:
        return False
    return True
