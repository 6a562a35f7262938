# SPDX-License-Identifier: Apache-2.0
"""A playbook's stage: three hosts on a segment where everything takes as long as it always does.

A playbook is a file of plain text. Lines at the margin are its author's: comments, and what is
done to the world and when. The indented lines below each are written by this module: what happens
to whom (`>`) and what it does about it (`<`). What only goes on as before is left out (a heartbeat
that says nothing new, a lease that is prolonged, a
round of delivery probes): a person is to read the story, not the traffic.

Knows how to play and how to write. Knows nothing of what is right: that is for whoever reads the
difference that a change of the protocol makes here.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from tests.core.protocol.bus import MS, Bus
from tests.core.protocol.machine import Machine

from wlbs.core.cluster import Cluster
from wlbs.core.protocol.effects import (
    BounceLink,
    CountConnections,
    CountDeliveries,
    Effect,
    EndLease,
    FindBypassers,
    HoldLease,
    InstallTable,
    Refuse,
    ReportBypassers,
    ReportCapture,
    ReportHealing,
    ReportMembership,
    ReportRefusal,
    ReportSighting,
    ReportState,
    SendDelivery,
    SendHeartbeat,
    SendProbe,
    SendPull,
)
from wlbs.core.protocol.events import (
    CarrierChanged,
    ConnectionsCounted,
    DeliveriesCounted,
    DrainstopRequested,
    Event,
    HeartbeatReceived,
    ProbeAnswered,
    StartRequested,
    StopRequested,
    TimerFired,
)
from wlbs.core.protocol.holdings import PENDING
from wlbs.core.protocol.shares import hosts_of
from wlbs.core.protocol.wire import decode
from wlbs.core.rules import HostIndex
from wlbs.core.table import FilterTable, Mark

AGAIN_NS: Final = 300 * MS
"""What is repeated sooner than this only goes on: probes and censuses are told when they begin."""

RIVAL_NONCE: Final = 5_000
"""A later life than that of any host a playbook begins with."""

WORDS: Final[dict[type[Event], str]] = {
    TimerFired: "timer",
    ProbeAnswered: "answer to a probe",
    DeliveriesCounted: "delivery probes counted",
    StartRequested: "operator says start",
    StopRequested: "operator says stop",
    DrainstopRequested: "operator says drainstop",
}


class Stage:
    """Plays one playbook."""

    def __init__(self, cluster: Cluster) -> None:
        """Have three hosts, h1 to h3, that are stopped."""
        self._cluster = cluster
        self._bus = Bus(cluster, is_steady=True)
        self._bus.add(1, 2, 3)
        self._verbs: dict[str, Callable[[str], None]] = {
            each.__name__: each
            for each in (
                *(self._bus.start, self._bus.stop, self._bus.drainstop, self._bus.stall),
                *(self._bus.resume, self._bus.crash, self._bus.kill),
                *(self._bus.unplug, self._bus.plug),
                *(self._bus.capture, self._bus.leak),
            )
        }
        self._told_count: dict[str, int] = {}
        self._said: dict[tuple[str, str], object] = {}
        self._done_at: dict[tuple[str, str], int] = {}

    def play(self, text: str) -> Iterator[str]:
        """Yield the playbook anew: its author's lines, and below each what came of it."""
        for line in text.splitlines():
            if line.startswith("given "):
                yield line
                self._set(line.removeprefix("given ").split())
            elif line.startswith("until "):
                yield from self._run(float(line.split()[1]))
                yield line
            elif line.startswith("at "):
                _, at, unit, *words = line.split()
                assert unit == "ms", f"say when in ms: {line}"
                yield from self._run(float(at))
                yield line
                self._act(words)
                yield from self._news()
            elif not line.startswith(" "):
                yield line

    def _run(self, until_ms: float) -> Iterator[str]:
        self._bus.run(until_ms - self._bus.now / MS)
        yield from self._news()

    def _set(self, names: list[str]) -> None:
        """Let hosts converge, of which nothing is told."""
        self._bus.start(*names)
        self._bus.run_until(lambda: self._bus.is_exact(*names), within_ms=1900)
        self._bus.run(100)  # until all have said that they are converged
        for _ in self._news():
            pass

    def _act(self, words: list[str]) -> None:
        bus = self._bus
        match words:
            case ["boot" | "restart" as what, name]:
                bus.place(bus[name], is_fresh=what == "boot")
            case ["rival", name, "of", other]:
                rival = Machine(name, self._cluster, bus[other].index + 1)
                bus.place(rival, is_fresh=True, boot_nonce=RIVAL_NONCE)
            case ["split", *names]:
                at = names.index("from")
                bus.split(names[:at], names[at + 1 :])
            case ["connect", count, "at", name]:
                owned = [at for at in range(4096) if bus.keepers(0, at) == [name]]
                for bucket in owned[: int(count)]:
                    bus.connect(0, bucket)
            case ["close", "at", name]:
                bus[name].connections.clear()
            case ["heal" | "age_out" as what]:
                {"heal": bus.heal, "age_out": bus.age_out}[what]()
            case [what, *names]:
                for name in names:
                    self._verbs[what](name)

    def _news(self) -> Iterator[str]:
        """Yield what has happened since the last time, in the order in which it did."""
        happened = []
        for name, machine in self._bus.machines.items():
            journal = machine.journal[self._told_count.get(name, 0) :]
            self._told_count[name] = len(machine.journal)
            happened += [(at, name, cause, effects) for at, cause, effects in journal]
        happened.sort(key=lambda each: each[0])
        for at, name, cause, effects in happened:
            told = [text for each in effects if (text := self._effect(at, self._bus[name], each))]
            if told:
                yield f"{at / MS:10.2f} {name} > {self._event(cause)}"
                yield from (f"{'':13} < {text}" for text in told)

    def _event(self, event: Event) -> str:
        match event:
            case HeartbeatReceived(source, data):
                machines = self._bus.machines.values()
                sender = next(each.name for each in machines if each.mac == source)
                said = decode(data, self._cluster)
                return (
                    f"heartbeat of {sender}: {said.state}, target {_listed(hosts_of(said.target))}"
                )
            case ConnectionsCounted(census):
                return f"counted {census.connection_count} connections"
            case CarrierChanged(up):
                return f"carrier {'regained' if up else 'lost'}"
            case _:
                return WORDS[type(event)]

    def _effect(self, at: int, machine: Machine, effect: Effect) -> str:
        """Return an effect in words, or none of what only goes on as before."""
        match effect:
            case InstallTable(table):
                return self._news_of(machine, "table", f"install table: {_contents(table)}")
            case SendHeartbeat(data):
                return self._news_of(machine, "heartbeat", self._heartbeat(data))
            case HoldLease(until):
                text = f"hold lease until {machine.true_time(until) / MS:.2f} ms, and so on"
                return self._begun(at, machine, "lease", text)
            case EndLease():
                self._done_at.pop((machine.name, "lease"), None)
                return "end lease"
            case SendProbe() | CountConnections():
                text = "count connections"
                if isinstance(effect, SendProbe):
                    text = f"probe {effect.to}"
                return self._begun(at, machine, text, f"{text}, and so on")
            case _:
                return _report(effect)

    def _news_of(self, machine: Machine, what: str, text: str) -> str:
        is_news = self._said.get((machine.name, what)) != text
        self._said[machine.name, what] = text
        return text if is_news else ""

    def _begun(self, at: int, machine: Machine, what: str, text: str) -> str:
        before = self._done_at.get((machine.name, what))
        self._done_at[machine.name, what] = at
        return text if before is None or at - before > AGAIN_NS else ""

    def _heartbeat(self, data: bytes) -> str:
        said = decode(data, self._cluster)
        groups = sum(each.bit_count() for each in said.foreign)
        left = f", may have connections in {groups} groups it does not own" if groups else ""
        heard = _listed(each.host for each in said.echoes)
        text = f"say: {said.state}, target {_listed(hosts_of(said.target))}, hears {heard}{left}"
        if said.delivery.row.silent:
            text += f", no probes of {_listed(hosts_of(said.delivery.row.silent))}"
        if said.relaying.epoch:
            text += ", receives for all"
        if said.relaying.follows is not None:
            text += f", follows {said.relaying.follows + 1}"
        return text


def _contents(table: FilterTable) -> str:
    names = [*(f"rule {at + 1}" for at in range(len(table.rules))), "the default rule"]
    held = [each.owners.count(table.own) for each in table.buckets]
    marks = [mark for each in table.buckets for mark in each.marks]
    owners = [owner for each in table.buckets for owner in each.owners]
    pairs = zip(owners, marks, strict=True)
    flagged = sum(1 for owner, mark in pairs if mark & Mark.FLAGGED and owner == table.own)
    counts = {
        "flagged": flagged,
        "awaited": owners.count(PENDING),
        "left": sum(1 for mark in marks if mark & Mark.EARLIER_HOLDER),
    }
    parts = [f"{count} of {name}" for count, name in zip(held, names, strict=True) if count]
    text = f"holds {', '.join(parts) or 'nothing'}"
    text += "".join(f", {count} {what}" for what, count in counts.items() if count)
    text += ", everyone answers ARP" if any(each.everyone_answers for each in table.vips) else ""
    if table.receiver is not None:
        stations = _listed(index for index, _ in table.station_macs)
        text += f", {table.receiver + 1} receives, relayed among: {stations}"
    return text + (", stopped" if table.is_stopped else "")


def _report(effect: Effect) -> str:
    match effect:
        case ReportState(before, after, because):
            return f"report {before} -> {after}: {because}"
        case ReportMembership(present, because):
            return f"report members {_listed(present)}: {because}"
        case ReportRefusal(refusal, who):
            return f"report refusal {refusal.name}: {who}"
        case Refuse(because):
            return f"refuse: {because}"
        case SendDelivery() | CountDeliveries():
            return ""
        case _:
            return _healing(effect)


def _healing(effect: Effect) -> str:
    match effect:
        case ReportCapture(finding, captor, receiver, because):
            pairs = (("captor", captor), ("receiver", receiver))
            named = [f"{what} {at + 1}" for what, at in pairs if at is not None]
            return f"report segment {finding}: {', '.join([*named, because])}"
        case ReportSighting(_, seen) | ReportBypassers(_, seen):
            return f"report seen: {seen}"
        case ReportHealing(step, because):
            return f"report healing {step}: {because}"
        case SendPull():
            return "send a pull from the VMAC"
        case BounceLink():
            return "take the link down and up"
        case FindBypassers():
            return "look for who can send past the guard"
        case _:
            message = f"a playbook has no words for {effect}"
            raise TypeError(message)


def _listed(hosts: Iterable[HostIndex]) -> str:
    return " ".join(str(host + 1) for host in sorted(hosts)) or "nobody"
