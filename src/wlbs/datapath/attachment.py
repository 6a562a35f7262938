# SPDX-License-Identifier: Apache-2.0
"""Puts programs on interfaces and takes them off again.

Knows XDP links, TCX links and clsact filters, and the names their pins have: ``link-<ifindex>-…``
for a link, and a pinned program ``clsact-<ifindex>-…`` where a filter was put, because filters
cannot be pinned themselves. Knows nothing of what the programs do.
"""

import contextlib
import errno
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from wlbs.core.cluster import TcHook, XdpMode
from wlbs.linux import libbpf
from wlbs.linux.clsact import ClsactFilter, remove_clsact
from wlbs.linux.error import LinuxError, NotSupportedError
from wlbs.linux.program import program_name, xdp_program

_XDP_ATTACH: Final = 37
_TCX_ATTACH: Final = {"ingress": 46, "egress": 47}
"""``enum bpf_attach_type``; TCX since Linux 6.6 (commit e420bed02507)."""
_XDP_FLAGS: Final = {XdpMode.GENERIC: 1 << 1, XdpMode.NATIVE: 1 << 2}
_CLSACT_DIRECTION: Final = {
    "ingress": ClsactFilter.INGRESS,
    "egress": ClsactFilter.EGRESS,
}
_CLSACT_HANDLE: Final = 0x776C
"""Ours among the filters of a priority: 'wl'."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a traffic control program goes."""

    ifindex: int
    direction: Literal["ingress", "egress"]

    def pin(self, pins: Path, kind: str) -> Path:
        """Return the path that remembers this place."""
        return pins / f"{kind}-{self.ifindex}-{self.direction}"

    @property
    def filter(self) -> ClsactFilter:
        """The place as a clsact filter."""
        return ClsactFilter(self.ifindex, _CLSACT_DIRECTION[self.direction], _CLSACT_HANDLE)


def attach_tc(pins: Path, program_fd: int, place: Place, hook: TcHook) -> None:
    """Attach by TCX, by clsact, or by whichever of the two the kernel has."""
    if place.pin(pins, "link").exists() or place.pin(pins, "clsact").exists():
        return
    if hook is not TcHook.CLSACT:
        link = libbpf.create_link(program_fd, place.ifindex, _TCX_ATTACH[place.direction])
        if link >= 0:
            _keep(link, place.pin(pins, "link"))
            return
        if hook is TcHook.TCX or link != -errno.EINVAL:
            what = f"cannot attach by TCX to {_name(place.ifindex)}: {os.strerror(-link)}"
            if link == -errno.EINVAL:
                raise NotSupportedError(what, 'use Linux 6.6 or set tc = "clsact"')
            raise libbpf.refused(what, -link)
    # The pin first: a crash between the two leaves a pin too many, not a filter nobody knows of.
    libbpf.pin(program_fd, place.pin(pins, "clsact"))
    try:
        if place.filter.attach(program_fd):
            _discipline(pins, place.ifindex).mkdir()
    except LinuxError:
        place.pin(pins, "clsact").unlink()
        raise


def refuse_foreign_xdp(pins: Path, ifindex: int) -> None:
    """Refuse an interface that already has somebody else's XDP program."""
    if _xdp_pin(pins, ifindex).exists():
        return
    program = xdp_program(ifindex)
    if program is not None:
        name = _name(ifindex)
        what = f"{name} already runs the XDP program {program_name(program)} (id {program})"
        raise LinuxError(what, f"take it off: ip link set dev {name} xdp off")


def attach_xdp(pins: Path, program_fd: int, ifindex: int, mode: XdpMode) -> None:
    """Attach the filter as a link of its own, in the mode asked for and no other."""
    pin = _xdp_pin(pins, ifindex)
    if pin.exists():
        return
    link = libbpf.create_link(program_fd, ifindex, _XDP_ATTACH, _XDP_FLAGS[mode])
    if link >= 0:
        _keep(link, pin)
        return
    what = f"cannot attach XDP in {mode} mode to {_name(ifindex)}: {os.strerror(-link)}"
    if mode is XdpMode.NATIVE and link in {-errno.EOPNOTSUPP, -errno.EINVAL}:
        raise NotSupportedError(what, 'the driver has none of its own; set xdp = "generic"')
    raise libbpf.refused(what, -link)


def detach(pins: Path, ifindex: int) -> None:
    """Take our programs off one interface, the filter first."""
    _detach_link(_xdp_pin(pins, ifindex))
    for direction in ("ingress", "egress"):
        place = Place(ifindex, direction)
        _detach_link(place.pin(pins, "link"))
        _detach_filter(place, place.pin(pins, "clsact"))


def detach_all(pins: Path) -> None:
    """Take our programs off every interface they are on."""
    if pins.exists():
        found = (*pins.glob("link-*"), *pins.glob("clsact-*"))
        for ifindex in sorted({int(path.name.split("-")[1]) for path in found}):
            detach(pins, ifindex)


def _detach_link(pin: Path) -> None:
    if pin.exists():
        link = libbpf.open_pinned(pin)
        try:
            libbpf.detach_link(link)
        finally:
            os.close(link)
        pin.unlink()


def _detach_filter(place: Place, pin: Path) -> None:
    """Remove our filter; with the last of them the discipline too, if it was we who added it.

    An interface that is gone has taken its filters with it.
    """
    if not pin.exists():
        return
    if _exists(place.ifindex) and place.filter.program() is not None:
        place.filter.detach()
    pin.unlink()
    others = any(pin.parent.glob(f"clsact-{place.ifindex}-*gress"))
    discipline = _discipline(pin.parent, place.ifindex)
    if discipline.exists() and not others:
        if _exists(place.ifindex):
            remove_clsact(place.ifindex)
        discipline.rmdir()


def _keep(link: int, pin: Path) -> None:
    try:
        libbpf.pin(link, pin)
    finally:
        os.close(link)


def _xdp_pin(pins: Path, ifindex: int) -> Path:
    return pins / f"link-{ifindex}-xdp"


def _discipline(pins: Path, ifindex: int) -> Path:
    """Return the empty folder that remembers that the clsact discipline is ours."""
    return pins / f"clsact-{ifindex}-discipline"


def _exists(ifindex: int) -> bool:
    with contextlib.suppress(OSError):
        return bool(socket.if_indextoname(ifindex))
    return False


def _name(ifindex: int) -> str:
    return socket.if_indextoname(ifindex) if _exists(ifindex) else f"interface {ifindex}"
