# SPDX-License-Identifier: Apache-2.0
"""A segment with members on it: virtual time, one seed, faults by name, and a judge.

A machine is a host: its agent (a `Member` and its timer) and its data path (the table installed,
the instant until which the lease is held, connections). Killing the agent leaves the data path as
it is; a crash takes both. Clocks have origins of their own and may drift.

After each event the bus judges S1, S2 and S6 by what the data paths hold and by what it has itself
delivered, never by what a member says of itself. The switch may have learned the VMAC at a port:
then delivery probes reach that port only. Knows nothing of frames or the filter.
"""

import heapq
import random
from collections.abc import Callable, Iterable
from itertools import combinations, permutations

from tests.core.protocol.machine import Machine

from wlbs.core.census import Census
from wlbs.core.cluster import Cluster
from wlbs.core.invariants import judge_relays
from wlbs.core.probe import Answer, encode_answer
from wlbs.core.protocol.effects import (
    BounceLink,
    CountConnections,
    CountDeliveries,
    Effect,
    EndLease,
    HoldLease,
    InstallTable,
    SendDelivery,
    SendHeartbeat,
    SendProbe,
    SendPull,
    State,
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
from wlbs.core.protocol.shares import Shares, target_of
from wlbs.core.sighting import Where

MS = 1_000_000
FLIGHT_NS_MIN = 100_000
FLIGHT_NS_MAX = 1_500_000
"""One frame's flight on a busy segment, from one agent to the other; three frames of spacing."""
PROBE_FLIGHT_NS = 200_000
TIMER_LATE_NS_MAX = 200_000


class Bus:
    """A segment; machines are named h1, h2 and so on."""

    def __init__(
        self, cluster: Cluster, *, seed: int = 1, loss: float = 0.0, is_steady: bool = False
    ) -> None:
        """Have nobody on it; on a steady one everything takes as long as it always does."""
        self._is_steady = is_steady
        self.cluster = cluster
        self.random = random.Random(seed)  # noqa: S311 - no secret: a seed repeats the history
        self.loss = loss
        self.now = 0
        self.machines: dict[str, Machine] = {}
        self.vmac_at = ""
        """At whose port the switch has learned the VMAC; if at nobody's, it floods."""
        self.heartbeat_cuts: set[tuple[str, str]] = set()
        self.probe_cuts: set[tuple[str, str]] = set()
        self.recorded: list[tuple[Machine, bytes]] = []
        self.violations: list[str] = []
        self._counting: list[str] = []
        self._shares = Shares(cluster)
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._number = 0

    def __getitem__(self, name: str) -> Machine:
        """Return a machine by its name."""
        return self.machines[name]

    # What a test does to the world.

    def add(self, *priorities: int, drift_ppm: int = 0) -> None:
        """Put machines on the segment, stopped."""
        for priority in priorities:
            self.place(Machine(f"h{priority}", self.cluster, priority, drift_ppm), is_fresh=True)

    def place(self, machine: Machine, *, is_fresh: bool, boot_nonce: int | None = None) -> None:
        """Begin an agent on a machine; with ``is_fresh`` its data path begins anew as well."""
        self.machines[machine.name] = machine
        machine.begin(self.now, is_fresh=is_fresh, boot_nonce=boot_nonce)
        for other in self.machines.values():
            machine.signs[other.name] = machine.clock(self.now)
            other.signs.setdefault(machine.name, other.clock(self.now))

    def start(self, *names: str) -> None:
        """Say start to the machines named, or to all."""
        for name in names or tuple(self.machines):
            self.take(self[name], StartRequested())

    def stop(self, name: str) -> None:
        """Say stop to a machine."""
        self.take(self[name], StopRequested())

    def drainstop(self, name: str) -> None:
        """Say drainstop to a machine."""
        self.take(self[name], DrainstopRequested())

    def cut(self, source: str, destination: str) -> None:
        """Let nothing through from one machine to another."""
        self.heartbeat_cuts.add((source, destination))
        self.probe_cuts.add((source, destination))

    def split(self, *groups: Iterable[str]) -> None:
        """Cut everything between groups of machines."""
        for some, others in permutations([tuple(group) for group in groups], 2):
            for source in some:
                for destination in others:
                    self.cut(source, destination)

    def heal(self) -> None:
        """Take back every cut."""
        self.heartbeat_cuts.clear()
        self.probe_cuts.clear()

    def unplug(self, name: str) -> None:
        """Take a machine's carrier."""
        self[name].has_carrier = False
        self.take(self[name], CarrierChanged(up=False))

    def plug(self, name: str) -> None:
        """Give a machine's carrier back."""
        self[name].has_carrier = True
        self.take(self[name], CarrierChanged(up=True))

    def stall(self, name: str) -> None:
        """Stop an agent in its tracks; its data path goes on."""
        self[name].is_stalled = True

    def resume(self, name: str) -> None:
        """Let a stalled agent go on, with all that has come for it meanwhile."""
        machine = self[name]
        machine.is_stalled = False
        pending, machine.pending = [*machine.pending, TimerFired()], []
        for event in pending:
            self.take(machine, event)

    def kill(self, name: str) -> None:
        """Kill an agent; its data path goes on."""
        self[name].member = None

    def crash(self, name: str) -> None:
        """Take a machine away, data path, connections and all."""
        self[name].crash()

    def capture(self, name: str) -> None:
        """Let the switch learn the VMAC at a machine's port, or at a stranger's."""
        self.vmac_at = name

    def leak(self, name: str) -> None:
        """Let a program of a machine, or a stranger, send a frame from the VMAC: all can see it."""
        self.capture(name)
        for machine in self.machines.values():
            machine.sight(Where.BYPASSED if machine.name == name else Where.ARRIVED, self.now)

    def age_out(self) -> None:
        """Let the switch forget where it has learned the VMAC."""
        self.vmac_at = ""

    def connect(self, rule: int, bucket: int) -> str:
        """Open a connection; return which machine took it."""
        (name,) = self.keepers(rule, bucket)
        self[name].connections.add((rule, bucket))
        return name

    # What a test sees of the world.

    def keepers(self, rule: int, bucket: int) -> list[str]:
        """Return which machines would keep a new flow of a bucket."""
        return [each.name for each in self.live if each.owned[rule] >> bucket & 1]

    @property
    def live(self) -> list[Machine]:
        """The machines whose data path may take new flows."""
        return [each for each in self.machines.values() if each.is_live(self.now)]

    def is_exact(self, *names: str, flagged: bool = False) -> bool:
        """Whether these machines, and no other, hold exactly what allocation gives each of them."""
        machines = [self[name] for name in names]
        target = target_of(each.index for each in machines)
        return (
            all(each.state is State.CONVERGED for each in machines)
            and self.live == [each for each in self.machines.values() if each in machines]
            and all(each.owned == self._shares.due(target, each.index) for each in machines)
            and (flagged or not any(each.flagged_count for each in machines))
        )

    def is_exact_but(self, out: str, *names: str) -> bool:
        """Whether these are exact, and one that shares a priority with them holds nothing."""
        return not self[out].is_live(self.now) and self.is_exact(*names)

    def is_counting(self, name: str) -> bool:
        """Whether a census of a machine is under way."""
        return name in self._counting

    # Time.

    def run(self, milliseconds: float) -> None:
        """Let time pass."""
        until = self.now + round(milliseconds * MS)
        while self._queue and self._queue[0][0] <= until:
            self._step()
        self.now = until

    def run_until(self, is_so: Callable[[], bool], within_ms: float) -> float:
        """Let time pass until something is so; return how many milliseconds that took."""
        began, until = self.now, self.now + round(within_ms * MS)
        while not is_so():
            if self._queue and self._queue[0][0] <= until:
                self._step()
                continue
            self.now = until
            assert is_so(), f"not so within {within_ms} ms\n{self.story()}"
        return (self.now - began) / MS

    def at(self, delay_ns: int, action: Callable[[], None]) -> None:
        """Let something happen later."""
        self._number += 1
        heapq.heappush(self._queue, (self.now + delay_ns, self._number, action))

    def take(self, machine: Machine, event: Event) -> None:
        """Let an event happen to an agent, carry out what it asks for, and judge the outcome."""
        if machine.member is None:
            return
        if machine.is_stalled:
            machine.pending.append(event)
            return
        local_now = machine.clock(self.now)
        effects = machine.member.handle(event, local_now)
        if isinstance(event, DeliveriesCounted) and not effects:
            return  # forty times a second nothing has changed
        machine.journal.append((self.now, event, effects))
        for effect in effects:
            self._carry_out(machine, effect)
        deadline = machine.member.deadline
        assert deadline is None or deadline > local_now, f"{machine.name} asks for the past"
        self._arm(machine)
        self._judge()

    def story(self) -> str:
        """Return what the machines reported, for a person who wonders what happened."""
        told = [
            (at, machine.name, report)
            for machine in self.machines.values()
            for at, report in machine.reports
        ]
        told.sort(key=lambda each: each[:2])
        return "\n".join(f"{at / MS:10.2f} ms {name} {what}" for at, name, what in told)

    def _step(self) -> None:
        self.now, _, action = heapq.heappop(self._queue)
        action()

    def _arm(self, machine: Machine) -> None:
        member = machine.member
        if member is None or member.deadline is None or member.deadline == machine.armed_for:
            return
        machine.armed_for = deadline = member.deadline

        def fire() -> None:
            if machine.member is member and machine.armed_for == deadline:
                machine.armed_for = None
                self.take(machine, TimerFired())

        late_ns = self._between(1, TIMER_LATE_NS_MAX)
        self.at(max(0, machine.true_time(deadline) - self.now) + late_ns, fire)

    # What travels.

    def _carry_out(self, machine: Machine, effect: Effect) -> None:
        match effect:
            case InstallTable(table):
                machine.install(table)
            case HoldLease(until):
                machine.lease_until = until
            case EndLease():
                machine.lease_until = None
            case SendHeartbeat(data):
                machine.sent_at.append(self.now)
                self.recorded.append((machine, data))
                for other in self.machines.values():
                    if other is not machine:
                        self._send(machine, other, data)
            case SendProbe():
                self._probe(machine, effect)
            case CountConnections():
                census = machine.count()
                self._counting.append(machine.name)
                self.at(self._between(MS, 5 * MS), lambda: self._counted(machine, census))
            case SendDelivery() | CountDeliveries() | SendPull() | BounceLink():
                self._watch(machine, effect)
            case _:
                machine.reports.append((self.now, effect))

    def _watch(
        self, machine: Machine, effect: SendDelivery | CountDeliveries | SendPull | BounceLink
    ) -> None:
        """Carry out what concerns the VMAC; the switch learns and forgets by it."""
        match effect:
            case SendDelivery():
                self._deliver(machine)
                return
            case CountDeliveries():
                self.at(0, lambda: self.take(machine, machine.count_deliveries()))
                return
            case SendPull():
                self.capture(machine.name)
            case BounceLink():
                if self.vmac_at == machine.name:
                    self.age_out()
        machine.reports.append((self.now, effect))

    def _deliver(self, source: Machine) -> None:
        """Send a delivery probe: to everybody, or to the one port at which the VMAC was learned."""
        for other in self.machines.values():
            is_reached = other.name == self.vmac_at if self.vmac_at else other.is_up
            if other is source or not is_reached:
                continue
            if not self._is_lost(source, other, self.heartbeat_cuts):
                other.arrived[source.index] += 1

    def _send(self, source: Machine, destination: Machine, data: bytes) -> None:
        if self._is_lost(source, destination, self.heartbeat_cuts):
            return

        def arrive() -> None:
            if destination.has_carrier:
                self._note(destination, source)
                self.take(destination, HeartbeatReceived(source.mac, data))

        self.at(self._between(FLIGHT_NS_MIN, FLIGHT_NS_MAX), arrive)

    def _probe(self, machine: Machine, probe: SendProbe) -> None:
        for other in self.machines.values():
            if other.address == probe.to and not self._is_lost(machine, other, self.probe_cuts):
                self.at(PROBE_FLIGHT_NS, lambda other=other: self._answer(other, machine, probe))  # type: ignore[misc]

    def _answer(self, asked: Machine, asker: Machine, probe: SendProbe) -> None:
        if not asked.is_up or self._is_lost(asked, asker, self.probe_cuts):
            return
        challenge = int.from_bytes(probe.data[8:16], "little")
        answer = Answer(challenge, asked.is_live(self.now), asked.table.boot_nonce)
        data = encode_answer(answer, self.cluster.key)

        def arrive() -> None:
            if asker.expects(asked, self.now):
                asker.signs[asked.name] = asker.clock(self.now)
            self.take(asker, ProbeAnswered(data))

        self.at(PROBE_FLIGHT_NS, arrive)

    def _counted(self, machine: Machine, census: Census) -> None:
        self._counting.remove(machine.name)
        self.take(machine, ConnectionsCounted(census))

    def _between(self, least: int, most: int) -> int:
        return (least + most) // 2 if self._is_steady else self.random.randrange(least, most)

    def _is_lost(self, source: Machine, to: Machine, cuts: set[tuple[str, str]]) -> bool:
        is_cut = (source.name, to.name) in cuts or not (source.has_carrier and to.has_carrier)
        return is_cut or self.random.random() < self.loss

    def _note(self, hearer: Machine, heard: Machine) -> None:
        """Take note of a heartbeat, unless the agent is not there to hear it."""
        if hearer.member is not None and not hearer.is_stalled:
            hearer.heard[heard.name] = hearer.signs[heard.name] = hearer.clock(self.now)

    # What must hold.

    def _judge(self) -> None:
        for a, b in combinations(self.live, 2):
            both = any(x & y for x, y in zip(a.owned, b.owned, strict=True))
            if both and self._hear_each_other(a, b):
                self.violations.append(f"S1 at {self.now / MS} ms: {a.name} and {b.name}")
        for one, other in permutations(self.machines.values(), 2):
            if one.is_live(self.now) and other.is_up and other.hears(one, self.now):
                found = judge_relays(one.table, other.table)
                self.violations += [f"S6 at {self.now / MS} ms: {each.seen}" for each in found]
        for holder in self.machines.values():
            if holder.connections:
                self._judge_connections(holder)

    def _hear_each_other(self, a: Machine, b: Machine) -> bool:
        return a.hears(b, self.now) and b.hears(a, self.now)

    def _judge_connections(self, holder: Machine) -> None:
        """S2: a machine's own data path knows its connections, and every other asks for claims."""
        seen = f"S2 at {self.now / MS} ms"
        rules = list(enumerate(holder.busy))
        if holder.is_live(self.now):
            self.violations += [
                f"{seen}: {holder.name} forgot connections of its own under rule {rule}"
                for rule, busy in rules
                if busy & ~holder.owned[rule] & ~holder.earlier[rule]
            ]
        self.violations += [
            f"{seen}: {other.name} resets connections of {holder.name} under rule {rule}"
            for other in self.live
            if other is not holder and other.expects(holder, self.now)
            for rule, busy in rules
            if busy & other.owned[rule] & ~other.flagged[rule]
        ]
