# SPDX-License-Identifier: Apache-2.0
"""An agent's whole life: look, lock, change, serve, undo.

Knows the order of the steps and that every way out leads through the undo record. Knows nothing
of what a step does.
"""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from wlbs.agent import changes, preflight
from wlbs.agent.driver import SIGNALS, Driver
from wlbs.agent.hosts import own_host
from wlbs.agent.logs import Log
from wlbs.config.load import Configuration
from wlbs.core.protocol.member import Member
from wlbs.linux import bpffs, link, namespace
from wlbs.linux.change import DatapathPinned, UndoRecord
from wlbs.linux.clock import now
from wlbs.linux.error import LinuxError
from wlbs.linux.instance import Instance, interface_lock
from wlbs.linux.lock import Lock, LockedError
from wlbs.linux.notify import notify

Say = Callable[[str], None]
"""Takes one line for the operator."""


def run(
    configuration: Configuration, named: str | None, instance: Instance, say: Say, log: TextIO
) -> None:
    """Serve the cluster until a signal says stop, then leave the host as it was."""
    preflight.require_privileges()
    with _signals_blocked(), _locked(instance):
        if leave_behind(instance):
            say(f"undid what a dead agent of instance {instance.name} had left on this host")
        addresses = link.addresses()
        interfaces = {index: each.interface for index, each in configuration.settings.items()}
        host = own_host(configuration.cluster, interfaces, addresses, named)
        settings = configuration.settings[host.index]
        own_link = link.find(settings.interface)
        plan = changes.Plan(configuration.cluster, host, settings, own_link, instance)
        path = interface_lock(namespace.own(), own_link.index)
        interface = Lock.take(path, f"interface {own_link.name}")
        try:
            preflight.require(plan.cluster, host, own_link, addresses)
            for warning in (*configuration.warnings, *preflight.warnings(plan.cluster)):
                say(f"warning: {warning}")
            _serve(plan, say, Log(log))
        finally:
            interface.release()


def undo(instances: tuple[Instance, ...], say: Say, *, skip_living: bool) -> None:
    """Undo what dead agents left, saying each step; LinuxError if one lives or resists.

    With ``skip_living`` those that live are no error: they have left nothing behind yet.
    """
    preflight.require_privileges()
    failures = []
    for instance in instances:
        try:
            with _locked(instance):
                done = leave_behind(instance)
        except LinuxError as error:
            if skip_living and isinstance(error, LockedError):
                say(f"{instance.name}: lives, left alone")
            else:
                failures.append(error)
        else:
            for line in done or ("nothing to undo",):
                say(f"{instance.name}: {line}")
    if failures:
        what = "; ".join(error.what for error in failures)
        raise LinuxError(what, "; ".join(dict.fromkeys(error.remedy for error in failures)))


def leave_behind(instance: Instance) -> tuple[str, ...]:
    """Undo an instance's record and remove its files; the caller holds its lock."""
    done = UndoRecord(instance.record).undo(changes.undo_datapath)
    if instance.pins.exists():
        # Pins without a record: somebody removed /run/wlbs. Losing the pins detaches.
        changes.undo_datapath(DatapathPinned(str(instance.pins), "", 0), False)  # noqa: FBT003
        done = (*done, f"removed {instance.pins}")
    instance.socket.unlink(missing_ok=True)
    with suppress(FileNotFoundError):
        instance.directory.rmdir()
    return done


def _serve(plan: changes.Plan, say: Say, log: Log) -> None:
    bpffs.ensure_mounted()
    plan.instance.directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    member = Member(plan.cluster, plan.host.index, plan.link.mac, now())

    def announce() -> None:
        say("ready")
        notify("READY=1")

    try:
        datapath = changes.make(plan, member.table, UndoRecord(plan.instance.record))
        driver = Driver(plan.cluster, member, datapath, log)
        asyncio.run(driver.run(plan.instance.socket, announce))
    finally:
        notify("STOPPING=1")
        leave_behind(plan.instance)


@contextmanager
def _locked(instance: Instance) -> Iterator[None]:
    lock = Lock.take(instance.lock, f"instance {instance.name}")
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Hold signals back while the host is being changed; the driver takes them in between."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
