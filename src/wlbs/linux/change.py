# SPDX-License-Identifier: Apache-2.0
"""The undo record: every change to this host, written down before it is made.

Theory of operation. A change is a frozen value that holds what its undoing needs. `UndoRecord.add`
appends it as one JSON line and syncs the file; only then is the change made. Undoing goes through
the lines backwards and removes the file at the end. Each undo is idempotent and does no harm if
its change was never made, so it does not matter where a process died: between line and change,
between two changes, or in the middle of an undoing. A torn last line is a change not yet made.

The record begins with the number of the network namespace, because what it names means something
only there. Once the namespace is gone, what was in it is gone too; only pins are left.

Knows how to undo what this package can change. What the data path pinned is undone by a callable
the caller brings, for this package must not know the one above it.
"""

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, assert_never

from wlbs.core.address import IpAddress, Mac
from wlbs.linux import autoconf, link, namespace, station, sysctl
from wlbs.linux.error import LinuxError


@dataclass(frozen=True, slots=True)
class SysctlSet:
    """A kernel setting; ``name`` is its path under /proc/sys."""

    name: str
    before: str


@dataclass(frozen=True, slots=True)
class AddressAdded:
    """A host address that was not on the interface before."""

    interface: str
    address: str


@dataclass(frozen=True, slots=True)
class PromiscuitySet:
    """An interface that was not promiscuous by anybody's wish before."""

    interface: str


@dataclass(frozen=True, slots=True)
class HardwareAddressSet:
    """An interface that was given another hardware address; ``before`` is its own."""

    interface: str
    before: str


@dataclass(frozen=True, slots=True)
class HardwareAddressHeard:
    """A hardware address that the interface did not listen to before."""

    interface: str
    address: str


@dataclass(frozen=True, slots=True)
class SecretAddressesMade:
    """An interface that made its IPv6 addresses from its hardware address before."""

    interface: str


@dataclass(frozen=True, slots=True)
class LinkBroughtUp:
    """An interface that was down before.

    ``brings`` is the address, if any, that the kernel puts on a loopback interface as it comes up
    for the first time, and leaves there when it goes down.
    """

    interface: str
    brings: str = ""


@dataclass(frozen=True, slots=True)
class DatapathPinned:
    """Programs, maps and attachments of the data path."""

    pins: str
    interface: str
    interface_index: int
    programs: str = ""
    """A digest of what was loaded, so that only the same is taken over."""


Change = (
    SysctlSet
    | AddressAdded
    | PromiscuitySet
    | HardwareAddressSet
    | HardwareAddressHeard
    | SecretAddressesMade
    | LinkBroughtUp
    | DatapathPinned
)

DatapathUndo = Callable[[DatapathPinned, bool], None]
"""Detaches and unpins; the second argument says whether the interface is still there."""

_KINDS: Final[dict[str, type[Change]]] = {
    kind.__name__: kind
    for kind in (
        SysctlSet,
        AddressAdded,
        PromiscuitySet,
        HardwareAddressSet,
        HardwareAddressHeard,
        SecretAddressesMade,
        LinkBroughtUp,
        DatapathPinned,
    )
}


def encode(change: Change) -> str:
    """Return a change as one line of JSON."""
    return json.dumps({"kind": type(change).__name__, **asdict(change)})


def decode(text: str) -> Change:
    """Read a change back; ValueError, KeyError or TypeError if it is none."""
    fields = json.loads(text)
    return _KINDS[fields.pop("kind")](**fields)


def describe(change: Change) -> str:
    """Say in words what undoing a change does."""
    match change:
        case SysctlSet(name, before):
            words = f"set {name} back to {before}"
        case AddressAdded(interface, address):
            words = f"removed {address} from {interface}"
        case PromiscuitySet(interface):
            words = f"made {interface} hear only its own frames again"
        case HardwareAddressSet(interface, before):
            words = f"gave {interface} its own address {before} again"
        case HardwareAddressHeard(interface, address):
            words = f"made {interface} listen to {address} no more"
        case SecretAddressesMade(interface):
            words = f"made {interface} form IPv6 addresses from its hardware address again"
        case LinkBroughtUp(interface):
            words = f"took {interface} down again"
        case DatapathPinned(pins, interface):
            words = f"detached the programs from {interface} and removed {pins}"
        case _:
            assert_never(change)
    return words


class UndoRecord:
    """The record of one agent instance; exists on disk from the first change to the last undo."""

    def __init__(self, path: Path) -> None:
        """Name the file; nothing is read or written yet."""
        self._path = path

    @property
    def exists(self) -> bool:
        """Whether there is something to undo."""
        return self._path.exists()

    def add(self, change: Change) -> None:
        """Write a change down, durably; only then may it be made. Once is enough."""
        if not self._path.exists():
            self._append(json.dumps({"namespace": namespace.own()}))
        if change not in self.changes():
            self._append(encode(change))

    def changes(self) -> tuple[Change, ...]:
        """Return the changes written down, oldest first."""
        try:
            return tuple(decode(line) for line in self._lines()[1:])
        except (ValueError, KeyError, TypeError) as error:
            raise self._unreadable() from error

    def undo(self, undo_datapath: DatapathUndo) -> tuple[str, ...]:
        """Undo everything, newest first; return what was done, in words.

        A change that cannot be undone does not keep the others from it, but the record stays.
        """
        if not self.exists:
            return ()
        is_here = self.is_here()
        done, failures = [], []
        for change in reversed(self.changes()):
            try:
                if _undo(change, undo_datapath, is_here=is_here):
                    done.append(describe(change))
            except LinuxError as error:
                failures.append(f"{encode(change)}: {error.what}")
        if failures:
            what = f"could not undo everything: {'; '.join(failures)}"
            raise LinuxError(
                what,
                "mend what is named and type it again: wlbs undo",
            )
        self._path.unlink()
        return tuple(done)

    def is_here(self) -> bool:
        """Whether the record is of the caller's namespace; LinuxError if of another living one."""
        lines = self._lines()
        if not lines:
            return True
        try:
            number = int(json.loads(lines[0])["namespace"])
        except (ValueError, KeyError, TypeError) as error:
            raise self._unreadable() from error
        if number == namespace.own():
            return True
        way = namespace.way_into(number)
        if way is not None:
            what = f"{self._path} is of another network namespace than this one"
            raise LinuxError(
                what,
                f"type the same in there: nsenter --net={way} -- wlbs undo --all",
            )
        return False

    def _lines(self) -> list[str]:
        """Return the complete lines; what a crash left of a last one is no line."""
        return self._path.read_text("utf-8").split("\n")[:-1]

    def _append(self, line: str) -> None:
        descriptor = os.open(
            self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
        )
        try:
            os.write(descriptor, f"{line}\n".encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _unreadable(self) -> LinuxError:
        return LinuxError(
            f"{self._path} is no undo record that this version can read",
            "undo by hand what it names, then remove it",
        )


def _undo(change: Change, undo_datapath: DatapathUndo, *, is_here: bool) -> bool:
    """Undo one change; False if what it changed is gone or as it was."""
    there = {each.name: each for each in link.links()} if is_here else {}
    match change:
        case SysctlSet(name, before):
            if not is_here or sysctl.read(name) in {None, before}:
                return False
            sysctl.write(name, before)
        case AddressAdded(interface, address):
            return is_here and _remove_address(interface, address)
        case (
            PromiscuitySet(interface)
            | HardwareAddressSet(interface)
            | HardwareAddressHeard(interface)
            | SecretAddressesMade(interface)
        ):
            return interface in there and _undo_posture(change, there[interface])
        case LinkBroughtUp(interface, brings):
            is_up = interface in there and there[interface].is_up
            if is_up:
                link.set_up(interface, up=False)
            had_brought = is_here and bool(brings) and _remove_address(interface, brings)
            return is_up or had_brought
        case DatapathPinned(pins, interface, index):
            is_there = interface in there and there[interface].index == index
            existed = Path(pins).exists()
            undo_datapath(change, is_there)
            return existed
        case _:
            assert_never(change)
    return True


def _undo_posture(
    change: PromiscuitySet | HardwareAddressSet | HardwareAddressHeard | SecretAddressesMade,
    interface: link.Link,
) -> bool:
    """Undo what an interface listens to or is known by; False if it is as it was."""
    name = interface.name
    match change:
        case PromiscuitySet():
            if interface.is_promiscuous:
                link.set_promiscuous(name, on=False)
            return interface.is_promiscuous
        case HardwareAddressSet(before=before):
            own = Mac.parse(before)
            if interface.mac != own:
                station.set_mac(name, own)
            return interface.mac != own
        case HardwareAddressHeard(address=address):
            return station.stop_hearing(name, Mac.parse(address))
        case SecretAddressesMade():
            return autoconf.use_mac(name)
        case _:
            assert_never(change)


def _remove_address(interface: str, text: str) -> bool:
    """Remove an address, whatever its prefix; False if it is not there."""
    address = IpAddress.parse(text)
    for each in link.addresses():
        if (each.interface, each.address) == (interface, address):
            link.remove_address(each)
            return True
    return False
