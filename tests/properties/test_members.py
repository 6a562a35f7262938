# SPDX-License-Identifier: Apache-2.0
"""The laws of members: whatever happens to them, S1 and S2 hold; once it is over, L1 and L2 do.

Histories are drawn as lists of mishaps on a bus of members; what went wrong can be read in the
failing example and repeated from it. Events are drawn without a bus as well, in orders that no bus
would make.
"""

import dataclasses

from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st
from tests.core.protocol.bus import Bus
from tests.core.protocol.said import NONCE, ONE, mac

from wlbs.core.address import IpAddress, Mac
from wlbs.core.buckets import BUCKET_COUNT, HashKey
from wlbs.core.census import Census
from wlbs.core.cluster import Cluster, Host, Mode
from wlbs.core.probe import Answer, encode_answer
from wlbs.core.protocol.effects import State
from wlbs.core.protocol.events import (
    CarrierChanged,
    ConnectionsCounted,
    DrainstopRequested,
    Event,
    HeartbeatReceived,
    Instant,
    ProbeAnswered,
    StartRequested,
    StopRequested,
    TimerFired,
)
from wlbs.core.protocol.member import Member
from wlbs.core.protocol.speaking import Incarnation
from wlbs.core.protocol.wire import Echo, Heartbeat, WireError, decode, encode
from wlbs.core.rules import Affinity, HostIndex, PortRule, Protocol

FIXED = settings(
    derandomize=True,
    deadline=None,
    max_examples=40,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
"""Derandomised, as the other laws are."""

UNSHRUNK = settings(FIXED, phases=[Phase.explicit, Phase.generate])
"""A history cut short is another history: looking for a smaller one takes minutes, for nothing."""

CLUSTERS = {
    count: Cluster(
        name="drawn",
        mode=Mode.STEALTH,
        vips=(IpAddress.parse("10.0.0.1"),),
        hosts=tuple(Host(at, f"h{at}", IpAddress.from_v4(at)) for at in range(1, count + 1)),
        rules=(PortRule(80, 80, Protocol.TCP, affinity=Affinity.NONE),),
        key=HashKey(bytes(range(16))),
        heartbeat_key=b"drawn",
    )
    for count in (2, 3, 4)
}

MISHAPS = st.sampled_from(
    [
        "cut",
        "deafen",
        "mute probes",
        "isolate",
        "heal",
        "stall",
        "resume",
        "stop",
        "drainstop",
        "start",
        "restart",
        "reboot",
        "unplug",
        "plug",
        "connect",
        "capture",
        "leak",
        "age_out",
        "close",
    ]
)
HISTORIES = st.lists(
    st.tuples(MISHAPS, st.integers(0, 3), st.integers(1, 3), st.integers(1, 1500)),
    min_size=1,
    max_size=12,
)


class Mishaps:
    """What can happen to a bus, by name; who it happens to is counted from 0."""

    def __init__(self, bus: Bus) -> None:
        """Know whom it can happen to."""
        self.bus = bus
        self.names = list(bus.machines)

    def happen(self, what: str, whom: int, other: int) -> None:
        """Let it happen."""
        name = self.names[whom % len(self.names)]
        peer = self.names[(whom + other) % len(self.names)]
        match what:
            case "cut":
                self.bus.cut(name, peer)
            case "deafen":
                self.bus.heartbeat_cuts.add((peer, name))
            case "mute probes":
                self.bus.probe_cuts.add((peer, name))
            case "isolate":
                self.bus.split([name], [each for each in self.names if each != name])
            case "heal" | "age_out":
                getattr(self.bus, what)()
            case "connect":
                self._connect(whom * 7)
            case "leak":
                self.bus.leak(name if other < 3 else "x1")
            case "close":
                self.bus[name].connections.clear()
            case "restart" | "reboot":
                self._restart(name, other * 200, is_fresh=what == "reboot")
            case _:
                getattr(self.bus, what)(name)

    def _connect(self, first: int) -> None:
        for bucket in range(first, BUCKET_COUNT, 97):
            for keeper in self.bus.keepers(0, bucket)[:1]:
                self.bus[keeper].connections.add((0, bucket))

    def _restart(self, name: str, after_ms: int, *, is_fresh: bool) -> None:
        if is_fresh:
            self.bus.crash(name)
        else:
            self.bus.kill(name)
        self.bus.run(after_ms)
        self.bus.place(self.bus[name], is_fresh=is_fresh)
        self.bus.start(name)

    def be_over(self) -> None:
        """Take everything back: the segment is whole, every agent runs, every client has left."""
        self.bus.heal()
        self.bus.age_out()
        self.bus.loss = 0
        for name in self.names:
            self.bus.resume(name)
            self.bus.plug(name)
            self.bus[name].connections.clear()
        self.bus.run(1600)
        self.bus.start()


@UNSHRUNK
@given(
    count=st.sampled_from(sorted(CLUSTERS)),
    seed=st.integers(0, 1 << 16),
    loss=st.sampled_from([0.0, 0.0, 0.05, 0.3]),
    history=HISTORIES,
)
def test_whatever_happens_s1_s2_and_s6_hold_and_once_it_is_over_l1_and_l2_do(
    count: int, seed: int, loss: float, history: list[tuple[str, int, int, int]]
) -> None:
    bus = Bus(CLUSTERS[count], seed=seed, loss=loss)
    for priority in range(1, count + 1):
        bus.add(priority, drift_ppm=(0, 20_000, -20_000)[(seed + priority) % 3])
    bus.start()
    bus.run(700)
    mishaps = Mishaps(bus)
    for what, whom, other, for_ms in history:
        mishaps.happen(what, whom, other)
        event(what)
        bus.run(for_ms)
    assert bus.violations == []
    mishaps.be_over()
    bus.run_until(lambda: bus.is_exact(*mishaps.names), within_ms=6000)
    counts = [bus[name].owned[0].bit_count() for name in mishaps.names]
    assert max(counts) - min(counts) <= 1
    assert bus.violations == []


@settings(UNSHRUNK, max_examples=10)
@given(seed=st.integers(0, 1 << 16), history=HISTORIES, data=st.data())
def test_no_recorded_heartbeat_ever_changes_a_table_when_it_is_sent_again(
    seed: int, history: list[tuple[str, int, int, int]], data: st.DataObject
) -> None:
    bus = Bus(CLUSTERS[3], seed=seed)
    bus.add(1, 2, 3)
    bus.start()
    bus.run(700)
    mishaps = Mishaps(bus)
    for what, whom, other, for_ms in history[:4]:
        mishaps.happen(what, whom, other)
        bus.run(for_ms)
    mishaps.be_over()
    bus.run_until(lambda: bus.is_exact(*mishaps.names), within_ms=6000)
    tables = [bus[name].table for name in mishaps.names]
    recorded = data.draw(st.lists(st.sampled_from(bus.recorded), max_size=200))
    for source, heartbeat in recorded:
        for name in mishaps.names:
            if name != source.name:
                bus.take(bus[name], HeartbeatReceived(source.mac, heartbeat))
    assert [bus[name].table for name in mishaps.names] == tables


NUMBERS = st.one_of(st.integers(0, 3), st.integers(0, (1 << 64) - 1))
HEARTBEATS = st.builds(
    Heartbeat,
    host=st.integers(0, 3).map(HostIndex),
    state=st.sampled_from(State),
    boot_nonce=st.one_of(st.sampled_from([NONCE - 1, NONCE, NONCE + 1]), NUMBERS),
    sequence=NUMBERS,
    configuration=st.sampled_from([CLUSTERS[3].configuration, b"another."]),
    target=NUMBERS,
    echoes=st.dictionaries(
        st.integers(0, 63).map(HostIndex), st.tuples(st.integers(0, 9), st.integers(0, 9))
    ).map(lambda each: tuple(Echo(host, *each[host]) for host in sorted(each))),
    foreign=st.lists(NUMBERS, max_size=4).map(tuple),
)
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.sampled_from(
        [
            TimerFired(),
            StartRequested(),
            StopRequested(),
            DrainstopRequested(),
            CarrierChanged(up=True),
            CarrierChanged(up=False),
        ]
    ),
    st.builds(
        HeartbeatReceived,
        st.sampled_from([mac(HostIndex(at)) for at in range(4)]),
        st.one_of(st.binary(max_size=120), HEARTBEATS.map(lambda h: encode(h, CLUSTERS[3]))),
    ),
    st.builds(
        ProbeAnswered,
        st.one_of(
            st.binary(max_size=40),
            st.builds(Answer, st.integers(NONCE, NONCE + 9), st.booleans(), NUMBERS).map(
                lambda answer: encode_answer(answer, CLUSTERS[3].key)
            ),
        ),
    ),
    st.builds(
        Census,
        st.lists(st.integers(0, (1 << 64) - 1), min_size=2, max_size=2).map(tuple),
        st.integers(0, 5),
        st.integers(0, 5),
    ).map(ConnectionsCounted),
)
LATER_NS = st.one_of(st.integers(0, 10**6), st.integers(0, 10**8), st.integers(0, 10**10))


@settings(FIXED, max_examples=150)
@given(steps=st.lists(st.tuples(EVENTS, LATER_NS), max_size=25), is_fresh=st.booleans())
def test_a_member_takes_any_event_at_any_time_and_never_waits_for_the_past(
    steps: list[tuple[Event, int]], *, is_fresh: bool
) -> None:
    now = Instant(0)
    member = Member(CLUSTERS[3], ONE, Incarnation(mac(ONE), NONCE, is_fresh), now)
    for happened, later_ns in steps:
        now = Instant(now + later_ns)
        effects = member.handle(happened, now)
        event(" ".join(sorted({type(effect).__name__ for effect in effects})))
        assert member.deadline is None or member.deadline > now
        assert (member.deadline is None) <= (member.state is State.STOPPED)


@settings(FIXED, max_examples=150)
@given(heartbeat=HEARTBEATS, padding=st.binary(max_size=40))
def test_every_heartbeat_is_read_as_it_was_written(heartbeat: Heartbeat, padding: bytes) -> None:
    cluster = CLUSTERS[3]
    assert decode(encode(heartbeat, cluster) + padding, cluster) == heartbeat


@settings(FIXED, max_examples=300)
@given(
    heartbeat=HEARTBEATS,
    at=st.integers(0, 400),
    garbage=st.binary(min_size=0, max_size=60),
    resigned=st.booleans(),
)
def test_garbage_is_refused_and_nothing_else_happens(
    heartbeat: Heartbeat, at: int, garbage: bytes, *, resigned: bool
) -> None:
    """Garbage put into a good heartbeat; with the key in the wrong hands, under a good tag."""
    cluster = CLUSTERS[3]
    good = encode(heartbeat, cluster)
    data = good[:at] + garbage + good[at + len(garbage) :]
    if resigned:
        impostor = dataclasses.replace(heartbeat, echoes=heartbeat.echoes[::-1])
        data = encode(impostor, cluster)
    try:
        read = decode(data, cluster)
    except WireError as error:
        event(error.refusal.name)
    else:
        assert encode(read, cluster) == data[: len(encode(read, cluster))]


@settings(FIXED, max_examples=100)
@given(data=st.binary(max_size=1400), source=st.binary(min_size=6, max_size=6).map(Mac))
def test_a_member_hears_noise_without_moving(data: bytes, source: Mac) -> None:
    member = Member(CLUSTERS[3], ONE, Incarnation(mac(ONE), NONCE), Instant(0))
    member.handle(StartRequested(), Instant(0))
    table = member.table
    member.handle(HeartbeatReceived(source, data), Instant(1))
    assert member.table is table
    assert member.hearing.counts.total() == 1
