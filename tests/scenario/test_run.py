# SPDX-License-Identifier: Apache-2.0
"""The interpreter takes every step in its order, keeps moments, and draws who sends from where."""

from dataclasses import replace

from wlbs.core.address import IpAddress
from wlbs.core.buckets import HashKey
from wlbs.core.cluster import Cluster, Host, Mode
from wlbs.core.rules import Affinity, PortRule
from wlbs.scenario.draw import Aim, PlannedFlow
from wlbs.scenario.evidence import Evidence
from wlbs.scenario.expectations import Follows, Holds
from wlbs.scenario.report import as_plain
from wlbs.scenario.run import run
from wlbs.scenario.setup import Setup
from wlbs.scenario.steps import (
    AwaitHolders,
    AwaitStopped,
    BeginAttempts,
    CloseConnections,
    Cut,
    Deed,
    Do,
    EndAttempts,
    Heal,
    Leaked,
    LimitFlooding,
    Occupy,
    OpenConnections,
    Scenario,
    SendAgain,
    SendCookies,
    SendFlows,
    SendFrom,
    SetAgeing,
    SetCarrier,
    Spread,
    Step,
    StopSending,
    Vanish,
    Visit,
    Wait,
    Way,
)
from wlbs.scenario.topology import Topology


class Script:
    """A world that writes down what it was asked for; each thing takes it a second."""

    name = "script"

    def __init__(self, *, stops: bool = True) -> None:
        """Begin with nothing asked."""
        self.asked: list[str] = []
        self.flows: dict[str, tuple[PlannedFlow, ...]] = {}
        self._stops = stops
        self._key = HashKey(bytes(16))

    @property
    def cluster(self) -> Cluster:
        """Three hosts, one rule."""
        hosts = tuple(Host(n, f"h{n}", IpAddress.parse(f"10.9.0.{n}")) for n in (1, 2, 3))
        rules = (PortRule(80, 80, affinity=Affinity.NONE),)
        vips = (IpAddress.parse("10.9.0.100"),)
        return Cluster("script", Mode.STEALTH, vips, hosts, rules, self._key, bytes(32))

    def begin(self, topology: Topology, key: HashKey, setup: Setup) -> None:
        """Note it."""
        self._key = key
        self.asked.append(f"begin {topology.host_count} in mode {setup.mode}")

    def elapsed_s(self) -> float:
        """Return how many things were asked for."""
        return float(len(self.asked))

    def send(self, flows: tuple[PlannedFlow, ...]) -> None:
        """Note it."""
        self._note(f"send {len(flows)}", flows)

    def open_connections(self, flows: tuple[PlannedFlow, ...]) -> None:
        """Note it."""
        self._note(f"open {len(flows)}", flows)

    def close_connections(self, batch: str, host: str | None) -> None:
        """Note it."""
        self.asked.append(f"close {batch} {host}")

    def vanish(self, batch: str) -> None:
        """Note it."""
        self.asked.append(f"vanish {batch}")

    def visit(self, batch: str) -> None:
        """Note it."""
        self.asked.append(f"visit {batch}")

    def begin_attempts(self, flows: tuple[PlannedFlow, ...], interval_s: float) -> None:
        """Note it."""
        self._note(f"attempts every {interval_s:g}", flows)

    def end_attempts(self, batch: str) -> None:
        """Note it."""
        self.asked.append(f"end {batch}")

    def wait(self, seconds: float) -> None:
        """Note it."""
        self.asked.append(f"wait {seconds:.3f}")

    def cut(self, cut: Cut) -> None:
        """Note it."""
        self.asked.append(f"cut {cut.sender} {cut.receiver} {cut.traffic}")

    def heal(self) -> None:
        """Note it."""
        self.asked.append("heal")

    def set_carrier(self, host: str, *, up: bool) -> None:
        """Note it."""
        self.asked.append(f"carrier {host} {up}")

    def do(self, do: Do) -> None:
        """Note it."""
        self.asked.append(f"{do.deed} {do.host}")

    def await_stopped(self, host: str, seconds: float) -> bool:
        """Note it."""
        self.asked.append(f"await {host} {seconds:g}")
        return self._stops

    def await_holders(self, hosts: tuple[str, ...], seconds: float, *, unflagged: bool) -> bool:
        """Note it."""
        words = " unflagged" if unflagged else ""
        self.asked.append(f"await {' '.join(hosts)} {seconds:g}{words}")
        return self._stops

    def send_cookies(self, host: str | None) -> None:
        """Note it."""
        self.asked.append(f"cookies {host}")

    def occupy(self, *, busy: bool) -> None:
        """Note it."""
        self.asked.append(f"busy {busy}")

    def send_from(self, order: SendFrom) -> None:
        """Note it."""
        self.asked.append(f"{order.count} {order.kind} from {order.way} {order.node}")

    def stop_sending(self, node: str) -> None:
        """Note it."""
        self.asked.append(f"stop sending {node}")

    def set_ageing(self, seconds: float | None) -> None:
        """Note it."""
        self.asked.append(f"ageing {seconds}")

    def limit_flooding(self, frames_per_s: int | None) -> None:
        """Note it."""
        self.asked.append(f"limit {frames_per_s}")

    def finish(self) -> Evidence:
        """Note it and return nothing."""
        self.asked.append("finish")
        return Evidence()

    def _note(self, words: str, flows: tuple[PlannedFlow, ...]) -> None:
        self.asked.append(words)
        self.flows[flows[0].batch] = flows


def scenario(*steps: Step) -> Scenario:
    expects = (Holds.CAPTURES_COMPLETE, Follows("cut", "stopped", 9))
    return Scenario("try", "everything once", Topology(), steps, expects)


EVERYTHING = scenario(
    SendFlows("b", 80, 2, Spread.PORTS),
    OpenConnections("lasting", 80, 4),
    BeginAttempts("new", 80, 0.5),
    Cut("h1", None, label="cut"),
    Heal(),
    SetCarrier("h2", up=False),
    Do(Deed.STALL, "h3"),
    Occupy(busy=True),
    Wait(1.5),
    AwaitStopped("h3", 5, label="stopped"),
    SendCookies("h1"),
    AwaitHolders(("h1", "h2"), 3, unflagged=True),
    Vanish("lasting"),
    CloseConnections("lasting", "h1"),
    EndAttempts("new"),
    Visit("visits"),
    SendFrom("h2", Leaked.RARP, Way.UNDER, count=3),
    StopSending("h2"),
    SetAgeing(2.5),
    LimitFlooding(100),
)


def test_steps_are_taken_in_their_order() -> None:
    world = Script()
    heard: list[Step] = []
    report = run(EVERYTHING, world, 4, heard.append)
    assert world.asked == [
        "begin 3 in mode stealth",
        "send 2",
        "open 4",
        "attempts every 0.5",
        "cut h1 None all",
        "heal",
        "carrier h2 False",
        "stall h3",
        "busy True",
        "wait 1.500",
        "await h3 5",
        "cookies h1",
        "await h1 h2 3 unflagged",
        "vanish lasting",
        "close lasting h1",
        "end new",
        "visit visits",
        "3 rarp from under h2",
        "stop sending h2",
        "ageing 2.5",
        "limit 100",
        "finish",
    ]
    assert heard == list(EVERYTHING.steps)
    plain = as_plain(report)
    assert (plain["seed"], plain["world"]) == (4, "script")


def test_what_is_done_counts_from_its_beginning_and_what_is_awaited_from_its_end() -> None:
    report = run(EVERYTHING, Script(), 4)
    (_, follows) = report.expectations
    # The cut is the fifth thing asked for, so it began after four; the wait ended with the tenth.
    assert follows.held
    assert follows.seen == "after 7000 ms"


def test_a_moment_waited_for_in_vain_has_not_come() -> None:
    (_, follows) = run(EVERYTHING, Script(stops=False), 4).expectations
    assert not follows.held


def test_no_source_port_is_used_twice_in_a_run() -> None:
    world = Script()
    run(EVERYTHING, world, 4)
    ports = [flow.source_port for flows in world.flows.values() for flow in flows]
    assert len(ports) == len(set(ports))
    # Two waits of 1.5 and 5 s, four steps that say no duration, at two attempts a second.
    assert len(world.flows["new"]) >= 2 * 6.5


def test_what_is_sent_again_comes_from_the_same_port_pairs() -> None:
    world = Script()
    steps = (SendFlows("first", 80, 5, Spread.PORTS), SendAgain("again", of="first"))
    run(scenario(*steps), world, 1)
    first, again = world.flows["first"], world.flows["again"]
    assert first == tuple(replace(flow, batch="first") for flow in again)


def test_aimed_batches_come_from_the_ports_of_that_host_alone() -> None:
    """What one client opens at one host comes from no port that another host would get."""
    steps = (
        SendFlows("sent", 80, 60, Spread.PORTS, aimed_at="h1"),
        OpenConnections("opened", 80, 60, aimed_at="h2"),
        SendAgain("again", of="opened"),
    )
    world = Script()
    run(replace(scenario(*steps), topology=Topology(3, 1)), world, 3)
    for batch, host in (("sent", "h1"), ("opened", "h2"), ("again", "h2")):
        owns = Aim(world.cluster, host)
        assert len(world.flows[batch]) == 60
        assert all(map(owns, world.flows[batch]))


def test_a_moment_of_holding_counts_from_its_end() -> None:
    steps = (Cut("h1", None, label="cut"), AwaitHolders(("h2",), 3, label="stopped"))
    (_, follows) = run(scenario(*steps), Script(), 4).expectations
    assert follows.seen == "after 2000 ms"
    (_, in_vain) = run(scenario(*steps), Script(stops=False), 4).expectations
    assert not in_vain.held


def test_a_wait_is_drawn_from_the_seed() -> None:
    waits = []
    for seed in (1, 1, 2):
        world = Script()
        run(scenario(Wait(1.0, 0.5)), world, seed)
        waits.append(world.asked[1])
    assert waits[0] == waits[1] != waits[2]
    assert all(1.0 <= float(each.split()[1]) < 1.5 for each in waits)


def test_aimed_attempts_come_from_the_ports_of_that_host_alone() -> None:
    """With one client each port is one host's: what is aimed at one is aimed at no other."""
    ports = []
    for host in ("h1", "h2", "h3"):
        steps = (BeginAttempts("aimed", 80, 0.1, aimed_at=host), Wait(20), EndAttempts("aimed"))
        world = Script()
        run(replace(scenario(*steps), topology=Topology(3, 1)), world, 3)
        ports.append({flow.source_port for flow in world.flows["aimed"]})
    assert all(len(each) > 200 for each in ports)
    assert sum(map(len, ports)) == len(set().union(*ports))
