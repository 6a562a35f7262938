# SPDX-License-Identifier: Apache-2.0
"""The simulated segment as a world for scenarios: switches, hosts and clients in virtual time.

Knows how each step is carried out and where each kind of evidence lies. Judges nothing; what it
waits for, it sees in the kernels of the hosts, as the lab does.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, assert_never

from wlbs.core.address import IpAddress, Mac
from wlbs.core.buckets import HashKey
from wlbs.core.cluster import Cluster
from wlbs.core.protocol.effects import Effect
from wlbs.core.protocol.events import (
    DrainstopRequested,
    Event,
    HeartbeatReceived,
    Instant,
    StartRequested,
    StopRequested,
)
from wlbs.core.protocol.shares import Shares, target_of
from wlbs.scenario.draw import PlannedFlow
from wlbs.scenario.evidence import Direction, Evidence
from wlbs.scenario.report import Expectation
from wlbs.scenario.setup import Setup
from wlbs.scenario.steps import Cut, Deed, Do, SendFrom
from wlbs.scenario.topology import Node, Topology
from wlbs.sim.checker import Checker
from wlbs.sim.client import Client
from wlbs.sim.host import Host, Surroundings
from wlbs.sim.link import ORDINARY, Quality, Wiring
from wlbs.sim.looking import counters_of, holdings_of, holds, is_shared_out
from wlbs.sim.parts import SOUND, Parts
from wlbs.sim.prng import Prng
from wlbs.sim.recorder import Recorder
from wlbs.sim.sabotage import Sabotage
from wlbs.sim.schedule import NS_PER_MS, NS_PER_S, Schedule
from wlbs.sim.segment import Segment
from wlbs.sim.senders import Senders, outlets
from wlbs.sim.station import Station
from wlbs.sim.switch import Watch
from wlbs.sim.trace import Trace
from wlbs.sim.visiting import Visits
from wlbs.sim.workload import Workload

SETTLE_NS_MAX: Final = 5 * NS_PER_S
"""How long hosts may take to share the traffic for the first time; a join takes well under one."""

DRAIN_NS_MAX: Final = 30 * NS_PER_S
"""How long an agent that is told to end waits for its last connection."""

ORDER_NS_MAX: Final = 1 * NS_PER_S
"""How long an operator waits for an agent's answer."""

LOOK_S: Final = 0.005
"""How often tables are looked at: short against a hand-over, and looking takes a while."""

BATCH_NS_MAX: Final = 1000 * NS_PER_S
"""Longer than any batch takes: every connection in it is settled within its patience."""

ARRIVAL_S: Final = 0.001
"""More than a frame is on its way to a switch and on to a node."""

BOUNCE_NS: Final = 100 * NS_PER_MS
"""How long a bounced link is down: a switch has seen it go, and nobody counts its host as gone."""

REST_S: Final = 0.05
"""After the last step: far longer than a frame is on its way, and no longer than half a period."""

START_SKEW_NS_MAX: Final = 100 * NS_PER_MS
"""Agents are not started at once: their heartbeats fall anywhere in each other's period."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a run of the world is given beside its scenario."""

    sabotage: Sabotage | None = None
    quality: Quality = ORDINARY
    is_traced: bool = False


SOUND_AND_QUIET: Final = Options()


class SimWorld:
    """One world, made for one run."""

    name = "sim"

    def __init__(self, seed: int, options: Options = SOUND_AND_QUIET) -> None:
        """Be empty: `begin` builds."""
        self.schedule = Schedule()
        self.recorder = Recorder(self.schedule)
        self.trace = Trace(self.schedule, is_kept=options.is_traced)
        self.topology = Topology()
        self._seed = seed
        self._setup = Setup()
        self._options = options
        self._hosts: dict[str, Host] = {}
        self._cluster: Cluster | None = None
        self._segment: Segment | None = None
        self._workload = Workload(self.schedule, {}, self.topology.vip)
        self._visits = Visits(self.schedule, self.topology, {})
        self._senders = Senders(self.schedule, self.topology, {}, {})
        self._checker: Checker | None = None

    @property
    def cluster(self) -> Cluster:
        """The cluster as its hosts are configured."""
        assert self._cluster is not None, "known once `begin` has returned"
        return self._cluster

    @property
    def segment(self) -> Segment:
        """What lies between the nodes."""
        assert self._segment is not None, "built by `begin`"
        return self._segment

    @property
    def checked(self) -> tuple[Expectation, ...]:
        """What the checker says of the run so far."""
        return self._checker.expectations(self.recorder.origin_ns) if self._checker else ()

    def begin(self, topology: Topology, key: HashKey, setup: Setup) -> None:
        """Build everything, start the agents, and wait until the hosts share all buckets."""
        self.topology = topology
        self._cluster, self._setup = setup.cluster(topology, key), setup
        watch = Watch(self._see, self.recorder.learn, self.recorder.forget)
        wiring = Wiring(self._seed, self._options.quality)
        self._segment = Segment(self.schedule, wiring, topology, self.cluster.vmac, watch)
        sabotage = self._options.sabotage
        for node in topology.hosts:
            parts = sabotage.parts_of(node.name) if sabotage else SOUND
            self._hosts[node.name] = self._new_host(node, parts)
        clients = {node.name: self._new_client(node) for node in topology.clients}
        self._workload = Workload(self.schedule, clients, topology.vip)
        self._visits = Visits(self.schedule, topology, {**self._hosts, **clients})
        for node in topology.strangers:
            self._segment.connect(node.name)
            self._segment.deliver(node.name, lambda _: None)
        ways = outlets(topology, self._segment, self._hosts)
        self._senders = Senders(self.schedule, topology, ways, self._hosts)
        checked = [each for each in self._hosts.values() if each.cluster == self._cluster]
        self._checker = Checker(self.schedule, self._cluster, checked)
        self.schedule.on_step = self._checker.step
        self._segment.begin()
        skews = Prng(self._seed, "start")
        for host in self._hosts.values():
            self.schedule.after(skews.between(0, START_SKEW_NS_MAX), host.begin)
        shares = Shares(self._cluster)
        everybody = target_of(host.own for host in self._hosts.values())
        dues = [(each, shares.due(everybody, each.own)) for each in self._hosts.values()]
        self._wait_while(lambda: not all(holds(*each) for each in dues), SETTLE_NS_MAX)
        self.recorder.origin_ns = int(self.schedule.now)

    def elapsed_s(self) -> float:
        """Return the time since `begin` returned."""
        return self.recorder.seconds(self.schedule.now)

    def send(self, flows: tuple[PlannedFlow, ...]) -> None:
        """Open these connections, a few of each client at once."""
        self._note(f"send {len(flows)}")
        self._wait_while(self._workload.send(flows), BATCH_NS_MAX)

    def open_connections(self, flows: tuple[PlannedFlow, ...]) -> None:
        """Open long-lived connections."""
        self._note(f"open {len(flows)}")
        self._wait_while(self._workload.open(flows), BATCH_NS_MAX)

    def close_connections(self, batch: str, host: str | None) -> None:
        """Close those of a batch."""
        self._note(f"close {batch} {host}")
        self._workload.close(batch, host)

    def vanish(self, batch: str) -> None:
        """Have a batch forgotten, each connection when it is idle."""
        self._note(f"vanish {batch}")
        self._wait_while(self._workload.vanish(batch), BATCH_NS_MAX)

    def visit(self, batch: str) -> None:
        """Have every host and client open a connection to each other host's own address."""
        self._note(f"visit {batch}")
        self._wait_while(self._visits.begin(batch), BATCH_NS_MAX)

    def begin_attempts(self, flows: tuple[PlannedFlow, ...], interval_s: float) -> None:
        """Plan the attempts."""
        self._note(f"begin {len(flows)} attempts")
        self._workload.begin_attempts(flows, interval_s)

    def end_attempts(self, batch: str) -> None:
        """End a batch of attempts."""
        self._note(f"end attempts {batch}")
        self._wait_while(self._workload.end_attempts(batch), BATCH_NS_MAX)

    def wait(self, seconds: float) -> None:
        """Let the world go on."""
        self.schedule.run_until(self.schedule.now + round(seconds * NS_PER_S))

    def cut(self, cut: Cut) -> None:
        """Have the switch drop matching frames."""
        self._note(f"cut {cut.sender} {cut.receiver} {cut.traffic}")
        self.segment.cut(cut)

    def heal(self) -> None:
        """Have the switch forward everything again."""
        self._note("heal")
        self.segment.heal()

    def set_carrier(self, host: str, *, up: bool) -> None:
        """Take a host's link away or give it back."""
        self._note(f"carrier {host} {up}")
        self.segment.set_carrier(host, up=up)
        self._hosts[host].set_carrier(up=up)

    def do(self, do: Do) -> None:
        """Do something to a host's agent."""
        self._note(f"{do.deed} {do.host}")
        host = self._hosts[do.host]
        match do.deed:
            case Deed.STALL:
                host.stall()
            case Deed.RESUME:
                host.resume()
            case Deed.KILL:
                host.kill()
            case Deed.BEGIN:
                host.begin()
                self._settle(host)
            case Deed.END:
                self._end(host)
            case Deed.START:
                self._order(host, StartRequested())
            case Deed.STOP:
                self._order(host, StopRequested())
            case Deed.DRAINSTOP:
                self._order(host, DrainstopRequested())
            case _:
                assert_never(do.deed)

    def await_stopped(self, host: str, seconds: float) -> bool:
        """Return once a host has stopped or its agent has ended."""
        patience_ns = round(seconds * NS_PER_S)
        self._wait_while(lambda: not self._hosts[host].has_stopped, patience_ns)
        return self._hosts[host].has_stopped

    def await_holders(self, hosts: tuple[str, ...], seconds: float, *, unflagged: bool) -> bool:
        """Return once these hosts hold each bucket once among them; looked for now and then."""
        until = self.schedule.now + round(seconds * NS_PER_S)
        while not self._is_shared_out(hosts, unflagged=unflagged):
            if self.schedule.now >= until:
                return False
            self.wait(LOOK_S)
        return True

    def send_cookies(self, host: str | None) -> None:
        """Have a host answer each SYN by a cookie."""
        self._note(f"cookies {host}")
        for each in self._hosts.values():
            each.send_cookies(wanted=each.node.name == host)

    def occupy(self, *, busy: bool) -> None:
        """Keep the hosts' processors busy, or no longer."""
        self._note(f"busy {busy}")
        for host in self._hosts.values():
            host.occupy(busy=busy)

    def send_from(self, order: SendFrom) -> None:
        """Send frames with the VMAC as their source, the first of them now."""
        self._note(f"send {order.count} {order.kind} from {order.way} {order.node}")
        self._senders.send_from(order)
        self.wait(ARRIVAL_S)

    def stop_sending(self, node: str) -> None:
        """Have a node send none of these any more."""
        self._note(f"stop sending {node}")
        self._senders.stop(node)

    def set_ageing(self, seconds: float | None) -> None:
        """Have the switches forget what they have not seen for so long."""
        self._note(f"ageing {seconds}")
        self.segment.set_ageing(seconds)

    def limit_flooding(self, frames_per_s: int | None) -> None:
        """Have the switches flood no more than this of each port."""
        self._note(f"limit {frames_per_s}")
        self.segment.limit_flooding(frames_per_s)

    def finish(self) -> Evidence:
        """Let what is still under way arrive, and return all that was observed."""
        self.wait(REST_S)
        origin_ns = self.recorder.origin_ns
        hosts = list(self._hosts.values())
        return Evidence(
            attempts=(*self._workload.attempts(origin_ns), *self._visits.attempts(origin_ns)),
            connections=self._workload.connections(origin_ns),
            holdings=tuple(holding for host in hosts for holding in holdings_of(host)),
            nonces={host.node.name: tuple(host.nonces) for host in hosts},
            frames=self.recorder.frames(),
            kept=self.recorder.kept(),
            bridge_entries=self.recorder.bridge_entries(),
            neighbours=self.recorder.neighbours(),
            log=tuple(self.recorder.log),
            counters={host.node.name: counters_of(host) for host in hosts},
            said=self.recorder.said(),
        )

    def captures(self) -> dict[str, bytes]:
        """Return a capture file for each port of the switch."""
        return {node.name: self.recorder.capture(node.name) for node in self.topology.nodes}

    def _is_shared_out(self, hosts: tuple[str, ...], *, unflagged: bool) -> bool:
        holdings = [each for host in self._hosts.values() for each in holdings_of(host)]
        if unflagged and any(each.flagged_count for each in holdings):
            return False
        return is_shared_out(holdings, hosts)

    def _new_host(self, node: Node, parts: Parts) -> Host:
        around = Surroundings(
            self.schedule,
            self.segment.connect(node.name),
            self.recorder.log.append,
            self._on_event,
            self._on_done,
            self.recorder.keep,
            self._bounce,
        )
        cluster = replace(self.cluster, key=parts.key(self.cluster.key))
        host = Host(node, cluster, self._seed, around, parts)
        host.forwards = self._setup.forwarding
        self.segment.deliver(node.name, host.receive)
        return host

    def _bounce(self, host: str) -> None:
        """Take a host's link down, and up again a while later."""
        self.schedule.after(0, lambda: self.set_carrier(host, up=False))
        self.schedule.after(BOUNCE_NS, lambda: self.set_carrier(host, up=True))

    def _new_client(self, node: Node) -> Client:
        def meet(address: IpAddress, mac: Mac) -> None:
            self.recorder.meet(node.name, address, mac)

        station = Station(self.schedule, node, self.segment.connect(node.name), meet)
        client = Client(self.schedule, Prng(self._seed, node.name), station)
        self.segment.deliver(node.name, client.receive)
        return client

    def _see(self, port: str, direction: Direction, data: bytes) -> None:
        self.recorder.see(port, direction, data)
        self.trace.see(port, direction, data)
        assert self._checker is not None, "frames flow once all is built"
        if not self._senders.sent_past_guard(port, data):
            self._checker.see(direction, data)

    def _on_event(self, host: Host, event: Event, effects: tuple[Effect, ...]) -> None:
        self.trace.take(host.node.name, event, effects)
        self.recorder.tell(host.node.name, effects)

    def _on_done(self, host: Host, event: Event, at: Instant) -> None:
        if isinstance(event, HeartbeatReceived) and self._checker is not None:
            self._checker.hear(host.shown_mac, event.source, at)

    def _note(self, what: str) -> None:
        self.trace.write("world", what)

    def _wait_while(self, is_under_way: Callable[[], bool], patience_ns: int) -> None:
        self.schedule.run_while(is_under_way, self.schedule.now + patience_ns)

    def _order(
        self, host: Host, event: StartRequested | StopRequested | DrainstopRequested
    ) -> None:
        host.tell(event)
        self._settle(host)

    def _settle(self, host: Host) -> None:
        """Wait until an agent has done what it was told; one that stands still never does."""
        self._wait_while(lambda: not (host.agent is None or host.agent.is_idle), ORDER_NS_MAX)

    def _end(self, host: Host) -> None:
        """Do what SIGTERM does: drain, stop at the latest after a while, undo everything."""
        if not host.has_stopped:
            self._order(host, DrainstopRequested())
            self._wait_while(lambda: not host.has_stopped, DRAIN_NS_MAX)
        if not host.has_stopped:
            self._order(host, StopRequested())
        self._settle(host)
        host.undo()
