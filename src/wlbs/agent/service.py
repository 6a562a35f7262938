# SPDX-License-Identifier: Apache-2.0
"""An agent's whole life: look, lock, change, serve, undo.

Knows the order of the steps and that every way out leads through the undo record. Knows nothing
of what a step does.
"""

import asyncio
import gc
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TextIO

from wlbs.agent import changes, preflight
from wlbs.agent.driver import SIGNALS, Books, Driver, Sockets
from wlbs.agent.hosts import own_host
from wlbs.agent.journal import Journal
from wlbs.agent.logs import Log
from wlbs.config.load import Configuration
from wlbs.core.frame import EtherType
from wlbs.core.protocol.journal import Beginning
from wlbs.core.protocol.speaking import Incarnation
from wlbs.datapath.loader import Datapath
from wlbs.linux import bpffs, link, namespace, scheduling
from wlbs.linux.carrier import Carrier
from wlbs.linux.change import AddressAdded, DatapathPinned, UndoRecord
from wlbs.linux.clock import now
from wlbs.linux.datagram import DatagramSocket
from wlbs.linux.error import LinuxError
from wlbs.linux.instance import Instance, interface_lock
from wlbs.linux.lock import Lock, LockedError
from wlbs.linux.notify import notify
from wlbs.linux.packet import PacketSocket

Say = Callable[[str], None]
"""Takes one line for the operator."""


@dataclass(frozen=True, slots=True)
class Order:
    """What an agent is to do: as which host, under which name, and how long it may drain."""

    named: str | None
    instance: Instance
    drain_timeout_s: float


def run(configuration: Configuration, order: Order, say: Say, log: TextIO) -> None:
    """Take part in the cluster until a signal says leave, then leave the host as it was."""
    preflight.require_privileges()
    instance = order.instance
    with _signals_blocked(), _locked(instance):
        interfaces = {index: each.interface for index, each in configuration.settings.items()}
        host = own_host(configuration.cluster, interfaces, link.addresses(), order.named)
        settings = configuration.settings[host.index]
        own_link = changes.with_own_mac(link.find(settings.interface), UndoRecord(instance.record))
        plan = changes.Plan(configuration.cluster, host, settings, own_link, instance)
        path = interface_lock(namespace.own(), own_link.index)
        interface = Lock.take(path, f"interface {own_link.name}")
        try:
            plan, is_taken_over = _succeed(plan, say)
            warnings = (*configuration.warnings, *preflight.warnings(plan.cluster, plan.link))
            for warning in warnings:
                say(f"warning: {warning}")
            _serve(plan, order, say, log, is_taken_over=is_taken_over)
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


def _succeed(plan: changes.Plan, say: Say) -> tuple[changes.Plan, bool]:
    """Deal with what a dead agent left: whether its data path is taken over or was undone.

    The plan returned knows the interface as it is then.
    """
    record = UndoRecord(plan.instance.record)
    if changes.can_be_taken_over(plan, record):
        ours = {each.address for each in record.changes() if isinstance(each, AddressAdded)}
        others = tuple(
            each
            for each in link.addresses()
            if each.interface != changes.LOOPBACK or str(each.address) not in ours
        )
        preflight.require(plan.cluster, plan.host, plan.link, others)
        say("took over the data path of a dead agent; its connections live on")
        return plan, True
    if leave_behind(plan.instance):
        say(f"undid what a dead agent of instance {plan.instance.name} had left on this host")
    plan = replace(plan, link=link.find(plan.link.name))
    preflight.require(plan.cluster, plan.host, plan.link, link.addresses())
    return plan, False


def _serve(plan: changes.Plan, order: Order, say: Say, log: TextIO, *, is_taken_over: bool) -> None:
    bpffs.ensure_mounted()
    instance = plan.instance
    instance.directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    record = UndoRecord(instance.record)

    def announce() -> None:
        say("ready")
        notify("READY=1")

    try:
        datapath = Datapath.open(instance.pins) if is_taken_over else changes.load(plan, record)
        incarnation = Incarnation(plan.link.mac, datapath.boot_nonce(), not is_taken_over)
        beginning = Beginning(plan.cluster, plan.host.index, incarnation, now())
        member = beginning.member()
        changes.make(plan, datapath, member.table, record)
        cannot = changes.watch(plan, datapath)
        if cannot:
            say(f"warning: {cannot}")
        if not scheduling.run_before_others():
            say("warning: no real-time scheduling; on a busy machine peers may miss this host")
        books = Books(Log(log), Journal(instance.journal, beginning))
        sockets = Sockets(
            PacketSocket(plan.link.name, EtherType.HEARTBEAT),
            DatagramSocket(plan.host.dedicated_ip),
            Carrier(plan.link.name),
        )
        # What is there now stays; collecting it again and again would cost the timer its precision.
        gc.freeze()
        driver = Driver(member, datapath, sockets, books, order.drain_timeout_s)
        asyncio.run(driver.run(instance.socket, announce))
    finally:
        notify("STOPPING=1")
        leave_behind(instance)


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
