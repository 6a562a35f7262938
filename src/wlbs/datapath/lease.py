# SPDX-License-Identifier: Apache-2.0
"""The lease in the kernel, and the marks beside it.

Knows the map it is kept in and the programs that write it. The lease itself is written by a program
only, on the filter's clock; from here its other fields are read. Knows nothing of how long a lease
ought to be.
"""

from dataclasses import dataclass

from wlbs.core.protocol.events import Instant
from wlbs.datapath.layout import LEASE, LEASE_REQUEST
from wlbs.linux import libbpf
from wlbs.linux.clock import tick_ns

_FIRST = bytes(4)


@dataclass(frozen=True, slots=True)
class Marks:
    """When the lease last mattered, in ticks of the kernel's clock (jiffies); 0 means never.

    Hosts that share a kernel can compare theirs: no flow was taken over before the last one was
    taken by its earlier owner.
    """

    last_new_flow: int
    """The last connection that was opened here."""
    first_taken_flow: int
    """The first that was opened here in a bucket that another host had before."""


def hold(program_fd: int, until: Instant) -> None:
    """Let the lease run to this instant of CLOCK_MONOTONIC; one in the past ends it."""
    libbpf.run(program_fd, LEASE_REQUEST.pack(max(until, 0), tick_ns()))


def read_marks(lease_fd: int) -> Marks:
    """Return the marks."""
    _, last_new_flow, first_taken_flow, _ = _read(lease_fd)
    return Marks(last_new_flow, first_taken_flow)


def write_boot_nonce(lease_fd: int, nonce: int) -> None:
    """Name this load of the programs; only before they are attached, because it clears the rest."""
    libbpf.update(lease_fd, _FIRST, LEASE.pack(0, 0, 0, nonce))


def read_boot_nonce(lease_fd: int) -> int:
    """Return the name of this load of the programs."""
    return _read(lease_fd)[3]


def _read(lease_fd: int) -> tuple[int, int, int, int]:
    value = libbpf.lookup(lease_fd, _FIRST, LEASE.size)
    assert value is not None, "an array has its first entry"
    until, last_new_flow, first_taken_flow, boot_nonce = LEASE.unpack(value)
    return until, last_new_flow, first_taken_flow, boot_nonce
