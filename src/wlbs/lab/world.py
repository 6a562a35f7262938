# SPDX-License-Identifier: Apache-2.0
"""The lab as a world for scenarios: the kernel's own stack, switch and programs.

Knows who carries each step out and where each kind of evidence lies. Judges nothing and asks no
agent anything.
"""

import time
from contextlib import ExitStack
from typing import Final

from wlbs.config.load import load
from wlbs.core.buckets import BUCKET_COUNT, HashKey
from wlbs.core.cluster import Cluster
from wlbs.lab.agents import configuration_of, start_agents
from wlbs.lab.bridge import set_ageing
from wlbs.lab.build import build
from wlbs.lab.burden import Burden
from wlbs.lab.clients import AttemptHook, Clients
from wlbs.lab.cuts import Cuts
from wlbs.lab.deeds import Deeds
from wlbs.lab.kernel import read_counters, read_holdings, read_nonce
from wlbs.lab.names import LabNames
from wlbs.lab.network import begin_forwarding, send_cookies
from wlbs.lab.recorder import Recorder
from wlbs.lab.sabotage import NO_SABOTAGE, Sabotage, Site
from wlbs.lab.senders import Senders
from wlbs.lab.service import read_log
from wlbs.lab.telling import read_said
from wlbs.lab.visiting import visit
from wlbs.lab.wait import wait_until
from wlbs.linux import link, namespace
from wlbs.linux.error import LinuxError
from wlbs.scenario.draw import PlannedFlow
from wlbs.scenario.evidence import Attempt, Evidence
from wlbs.scenario.setup import Setup
from wlbs.scenario.steps import Cut, Deed, Do, SendFrom
from wlbs.scenario.topology import Topology

CONVERGED_S_MAX: Final = 10.0
"""Agents listen for a fraction of a second and agree within another."""


class LabWorld:
    """One lab, built for one run."""

    name = "lab"

    def __init__(
        self,
        names: LabNames,
        sabotage: Sabotage = NO_SABOTAGE,
        on_attempt: AttemptHook = lambda _: None,
    ) -> None:
        """Know the lab's name, what to break in it, and who wants to hear of each answer."""
        self._names = names
        self._sabotage = sabotage
        self._on_attempt = on_attempt
        self._topology = Topology()
        self._recorder = Recorder(names, self._topology)
        self._deeds = Deeds(names)
        self._burden = Burden()
        self._senders = Senders(names, self._topology)
        self._clients: Clients | None = None
        self._cuts: Cuts | None = None
        self._cluster: Cluster | None = None
        self._nonces: dict[str, list[int]] = {}
        self._visits: list[Attempt] = []
        self._undoing = ExitStack()
        self._undoing.callback(self._deeds.close)
        self._undoing.callback(self._burden.end)

    @property
    def cluster(self) -> Cluster:
        """The cluster as its hosts are configured."""
        assert self._cluster is not None, "known once `begin` has returned"
        return self._cluster

    def begin(self, topology: Topology, key: HashKey, setup: Setup) -> None:
        """Build the lab, start to record, start clients and agents; return when all have shares."""
        self._topology = topology
        build(self._names, topology)
        if setup.forwarding:
            begin_forwarding(self._names, topology)
        vmac = setup.cluster(topology, key).vmac
        self._senders = Senders(self._names, topology)
        self._undoing.callback(self._senders.end)
        self._recorder = Recorder(self._names, topology)
        self._undoing.callback(self._recorder.end)
        self._recorder.start()
        self._cuts = Cuts(self._names, topology, vmac)
        self._undoing.callback(self._cuts.close)
        self._clients = Clients(self._names, topology, self._on_attempt)
        self._undoing.callback(self._clients.end)
        site = Site(self._names, topology, key)
        other_keys = self._sabotage.other_keys(site)
        start_agents(self._names, topology, setup, key, other_keys)
        self._cluster = load(configuration_of(self._names, topology.hosts[0].name)).cluster
        if not self._sabotage.is_dividing:
            everybody = tuple(host.name for host in topology.hosts)
            wait_until(
                lambda: self._is_shared_out(everybody, unflagged=False),
                "every host to hold its share",
                seconds=CONVERGED_S_MAX,
            )
        self._note_nonces()
        self._sabotage.inject(site)
        self._recorder.origin_s = time.time()
        self._clients.set_origin(self._recorder.origin_s)

    def elapsed_s(self) -> float:
        """Return the time since `begin` returned."""
        return time.time() - self._recorder.origin_s

    def send(self, flows: tuple[PlannedFlow, ...]) -> None:
        """Have the clients open these connections, and return when all have ended."""
        self._there.send(flows)

    def open_connections(self, flows: tuple[PlannedFlow, ...]) -> None:
        """Have the clients open connections that last."""
        self._there.open_connections(flows)

    def close_connections(self, batch: str, host: str | None) -> None:
        """Have the clients close connections that last."""
        self._there.close_connections(batch, host)

    def vanish(self, batch: str) -> None:
        """Have the clients forget connections that were to last."""
        self._there.vanish(batch)

    def visit(self, batch: str) -> None:
        """Have every host and client open a connection to each other host's own address."""
        self._visits += visit(self._names, self._topology, batch, self._recorder.origin_s)
        self._there.read()

    def begin_attempts(self, flows: tuple[PlannedFlow, ...], interval_s: float) -> None:
        """Have the clients begin to open connections, and return at once."""
        self._there.begin_attempts(flows, interval_s)

    def end_attempts(self, batch: str) -> None:
        """Have the clients open no further connection of a batch."""
        self._there.end_attempts(batch)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self._there.wait(seconds)

    def cut(self, cut: Cut) -> None:
        """Cut a path through the switch."""
        assert self._cuts is not None, "begin comes first"
        self._cuts.cut(cut)

    def heal(self) -> None:
        """End all cuts."""
        assert self._cuts is not None, "begin comes first"
        self._cuts.heal()

    def set_carrier(self, host: str, *, up: bool) -> None:
        """Take the switch's end of a host's link down, or up: the host's end follows it."""
        with namespace.entered(self._names.namespace(self._topology.node(host).switch)):
            link.set_up(host, up=up)

    def do(self, do: Do) -> None:
        """Do something to a host's agent."""
        self._deeds.do(do)
        if do.deed is Deed.BEGIN:
            self._note_nonces()

    def await_stopped(self, host: str, seconds: float) -> bool:
        """Wait until a host has stopped; False if it has not in time."""

        def has_stopped() -> bool:
            self._there.read()
            return self._deeds.has_stopped(host)

        try:
            wait_until(has_stopped, f"{host} to stop", seconds=seconds)
        except LinuxError:
            return has_stopped()
        return True

    def await_holders(self, hosts: tuple[str, ...], seconds: float, *, unflagged: bool) -> bool:
        """Wait until these hosts hold each bucket once among them; False if it takes too long."""

        def is_shared_out() -> bool:
            self._there.read()
            return self._is_shared_out(hosts, unflagged=unflagged)

        try:
            wait_until(is_shared_out, f"{', '.join(hosts)} to hold everything", seconds=seconds)
        except LinuxError:
            return False
        return True

    def send_cookies(self, host: str | None) -> None:
        """Have this host, or none, answer each SYN by a cookie."""
        send_cookies(self._names, self._topology, host)

    def occupy(self, *, busy: bool) -> None:
        """Have other programs keep the processors busy, or end them."""
        self._burden.occupy(busy=busy)

    def send_from(self, order: SendFrom) -> None:
        """Start a program that sends frames from the VMAC, and wait for its first."""
        self._senders.send_from(order)

    def stop_sending(self, node: str) -> None:
        """End the programs that send from a node."""
        self._senders.stop(node)

    def set_ageing(self, seconds: float | None) -> None:
        """Tell every bridge how long it may remember."""
        set_ageing(self._names, self._topology, seconds)

    def limit_flooding(self, frames_per_s: int | None) -> None:
        """Put a limit on what comes in at each port of the switches, or take it away."""
        assert self._cuts is not None, "begin comes first"
        self._cuts.limit_flooding(frames_per_s)

    def finish(self) -> Evidence:
        """Have everything reported, stop recording and gather what was recorded."""
        hosts = [host.name for host in self._topology.hosts]
        rule_count = len(self.cluster.rules)
        holdings = [each for host in hosts for each in read_holdings(self._names, host, rule_count)]
        self._note_nonces()
        self._there.report()
        self.heal()
        self.limit_flooding(None)
        self._senders.end()
        self._recorder.stop()
        return Evidence(
            attempts=(*self._there.attempts, *self._visits),
            connections=tuple(self._there.connections),
            holdings=tuple(holdings),
            nonces={host: tuple(nonces) for host, nonces in self._nonces.items()},
            frames=self._recorder.frames(),
            kept=self._recorder.kept(),
            bridge_entries=self._recorder.bridge_entries(),
            neighbours=self._recorder.neighbours(),
            log=tuple(entry for host in hosts for entry in read_log(self._names, host)),
            counters={host: read_counters(self._names, host) for host in hosts},
            frames_lost_count=self._recorder.lost_count,
            said=tuple(
                line
                for host in hosts
                for line in read_said(self._names, host, self._recorder.origin_s)
            ),
        )

    def close(self) -> None:
        """End whatever still runs; the lab itself is the sweep's."""
        self._undoing.close()

    @property
    def _there(self) -> Clients:
        assert self._clients is not None, "begin comes first"
        return self._clients

    def _is_shared_out(self, hosts: tuple[str, ...], *, unflagged: bool) -> bool:
        """Tell whether these hosts hold every bucket among them, each once, and each host some."""
        rule_count = len(self.cluster.rules)
        held_by_any, held_count = [0] * (rule_count + 1), 0
        for host in self._topology.hosts:
            holdings = read_holdings(self._names, host.name, rule_count)
            if any(each.owned for each in holdings) != (host.name in hosts):
                return False
            if unflagged and any(each.flagged_count for each in holdings):
                return False
            for each in holdings:
                held_by_any[each.rule] |= each.owned
                held_count += each.owned.bit_count()
        bucket_count = BUCKET_COUNT * (rule_count + 1)
        return held_count == bucket_count == sum(each.bit_count() for each in held_by_any)

    def _note_nonces(self) -> None:
        for host in self._topology.hosts:
            nonce = read_nonce(self._names, host.name)
            nonces = self._nonces.setdefault(host.name, [])
            if nonce is not None and nonce not in nonces[-1:]:
                nonces.append(nonce)
