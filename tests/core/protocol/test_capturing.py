# SPDX-License-Identifier: Apache-2.0
"""Stories of a captured VMAC: noticed, relayed around, healed, over; S6 is judged throughout."""

import dataclasses
from collections.abc import Callable

import pytest
from tests.core.protocol.bus import Bus
from tests.core.protocol.conftest import converged
from tests.core.protocol.machine import Machine

from wlbs.core.address import BROADCAST, IpAddress
from wlbs.core.cluster import Cluster, Healing, Host, Mode
from wlbs.core.frame import EtherType
from wlbs.core.protocol.capturing import BOUNCE_AFTER_NS, REFRESH_NS, Told
from wlbs.core.protocol.diagnosing import Finding
from wlbs.core.protocol.effects import (
    BounceLink,
    FindBypassers,
    HealingStep,
    ReportBypassers,
    ReportCapture,
    ReportHealing,
    ReportSighting,
    SendPull,
)
from wlbs.core.protocol.events import BypassersFound, DeliveriesCounted
from wlbs.core.sighting import Bypass, Bypasser, FrameKind, Sender, Sighting, Where

NOTICED_MS = 300
"""A captured VMAC is known to all hosts after so long, whatever the phases."""


def told(machine: Machine) -> Told:
    assert machine.member is not None
    return machine.member.capture.told


def relays_to(bus: Bus, receiver: str, *others: str) -> bool:
    """Whether a machine relays to these, and they take what it relays and nothing else."""
    index = bus[receiver].index
    stations = {host for host, _ in bus[receiver].table.station_macs}
    followed = all(bus[other].table.receiver == index for other in others)
    return (
        bus[receiver].table.receiver == index
        and followed
        and stations == {bus[other].index for other in others}
    )


def is_flooded(bus: Bus) -> bool:
    """Whether everybody takes frames from the segment."""
    return all(machine.table.receiver is None for machine in bus.machines.values())


def steps(machine: Machine) -> list[HealingStep]:
    reports = machine.told(ReportHealing)
    return [each.step for each in reports if isinstance(each, ReportHealing)]


def with_healing(cluster: Cluster, *healing: Healing) -> Bus:
    return converged(Bus(dataclasses.replace(cluster, healing=frozenset(healing))), 3)


@pytest.mark.parametrize("leak", [True, False], ids=["seen", "unseen"])
def test_a_capture_by_a_host_is_relayed_around_and_ends_with_its_entry(
    bus: Bus, *, leak: bool
) -> None:
    bus.run(1500)
    (bus.leak if leak else bus.capture)("h2")
    bus.run_until(lambda: relays_to(bus, "h2", "h1", "h3"), within_ms=NOTICED_MS)
    bus.run(200)
    for name in ("h1", "h2", "h3"):
        assert told(bus[name]) == (Finding.CAPTURED, 1, 1)
    assert steps(bus["h2"]) == [HealingStep.RELAY]
    bus.age_out()
    bus.run_until(lambda: is_flooded(bus), within_ms=1400)
    bus.run(200)
    assert told(bus["h2"]) == (Finding.HEALTHY, None, None)
    assert steps(bus["h2"]) == [HealingStep.RELAY, HealingStep.END]
    assert bus.is_exact("h1", "h2", "h3")
    assert bus.violations == []


def test_what_a_stranger_has_captured_is_pulled_and_then_relayed(bus: Bus) -> None:
    bus.run(1500)
    bus.leak("x1")
    bus.run_until(lambda: relays_to(bus, "h1", "h2", "h3"), within_ms=NOTICED_MS)
    bus.run(200)
    assert told(bus["h3"]) == (Finding.STRANGER, None, 0)
    assert steps(bus["h1"]) == [HealingStep.PULL, HealingStep.RELAY]
    assert bus.violations == []


def test_a_pull_explains_no_capture_after_it_is_over(bus: Bus) -> None:
    """Once frames are flooded again, what is at the default host's port is there by itself."""
    bus.run(1500)
    bus.leak("x1")
    bus.run_until(lambda: relays_to(bus, "h1", "h2", "h3"), within_ms=NOTICED_MS)
    bus.age_out()
    bus.run_until(lambda: is_flooded(bus), within_ms=1400)
    bus.run(REFRESH_NS / 1_000_000 + 500)
    bus.capture("h1")
    bus.run(500)
    assert told(bus["h1"]) == (Finding.CAPTURED, 0, 0)
    assert bus.violations == []


def test_what_was_never_flooded_is_blocked_and_pulled(cluster: Cluster) -> None:
    """Nobody's port has it: the pull's own entry is no capture, and it is kept alive."""
    bus = Bus(cluster)
    bus.capture("nobody")
    converged(bus, 3)
    bus.run_until(lambda: relays_to(bus, "h1", "h2", "h3"), within_ms=NOTICED_MS)
    bus.run(3 * REFRESH_NS / 1_000_000)
    assert told(bus["h2"]) == (Finding.BLOCKED, None, 0)
    assert len(bus["h1"].told(SendPull)) >= 3
    assert bus.violations == []


def test_each_frame_of_a_stranger_is_answered(bus: Bus) -> None:
    """Ten a second; the receiver looks every 5 ms, and pulls what it has lost."""
    bus.run(1500)
    for _ in range(30):
        bus.leak("x1")
        bus.run(100)
    assert bus.vmac_at == "h1"
    assert relays_to(bus, "h1", "h2", "h3")
    assert len(bus["h1"].told(SendPull)) >= 25
    assert bus.violations == []


def test_a_receiver_that_dies_is_followed_by_another(bus: Bus) -> None:
    bus.run(1500)
    bus.capture("h3")
    bus.run_until(lambda: relays_to(bus, "h3", "h1", "h2"), within_ms=NOTICED_MS)
    bus.crash("h3")
    bus.run_until(lambda: relays_to(bus, "h1", "h2"), within_ms=700)
    assert bus.violations == []


def test_a_receiver_that_stands_still_relays_no_more_and_comes_back(bus: Bus) -> None:
    bus.run(1500)
    bus.capture("h2")
    bus.run_until(lambda: relays_to(bus, "h2", "h1", "h3"), within_ms=NOTICED_MS)
    bus.stall("h2")
    bus.run(1000)
    bus.resume("h2")
    bus.run(1500)
    assert bus.violations == []
    assert any(relays_to(bus, name, *set(bus.machines) - {name}) for name in bus.machines)


def test_two_captures_in_turn(bus: Bus) -> None:
    bus.run(1500)
    bus.leak("h2")
    bus.run(700)
    bus.leak("h3")
    bus.run_until(lambda: relays_to(bus, "h3", "h1", "h2"), within_ms=NOTICED_MS + 100)
    assert bus.violations == []


def test_without_healing_it_is_only_told(cluster: Cluster) -> None:
    bus = with_healing(cluster)
    bus.run(1500)
    bus.leak("h2")
    bus.run(1000)
    assert is_flooded(bus)
    assert told(bus["h1"]) == (Finding.CAPTURED, 1, None)
    assert steps(bus["h2"]) == []


def test_where_it_is_allowed_the_captors_link_goes_down_once(cluster: Cluster) -> None:
    bus = with_healing(cluster, Healing.RELAY, Healing.BOUNCE)
    bus.run(1500)
    bus.leak("h2")
    bus.run(BOUNCE_AFTER_NS / 1_000_000 + 500)
    assert len(bus["h2"].told(BounceLink)) == 1
    assert bus.vmac_at == ""
    bus.run_until(lambda: is_flooded(bus), within_ms=1500)
    bus.run(100)
    assert steps(bus["h2"])[:2] == [HealingStep.RELAY, HealingStep.BOUNCE]
    assert bus.violations == []


def test_each_sender_is_told_once(bus: Bus) -> None:
    bus.run(100)
    for _ in range(5):
        bus.leak("h2")
        bus.run(100)
    for machine in bus.machines.values():
        (report,) = machine.told(ReportSighting)
        assert isinstance(report, ReportSighting)
        where = Where.BYPASSED if machine.name == "h2" else Where.ARRIVED
        assert report.sighting.where is where


def test_a_leak_names_its_sender_where_it_can_be_seen(bus: Bus) -> None:
    bus.run(1500)
    bus.leak("h2")
    bus.run(500)
    (report,) = bus["h2"].told(ReportCapture)
    assert isinstance(report, ReportCapture)
    assert "netmon (process 77, socket 1)" in report.because
    assert "LLC" in report.because


def test_what_no_program_sent_came_from_below(bus: Bus) -> None:
    bus.run(1500)
    bus.capture("h2")
    bus.run(500)
    (report,) = bus["h2"].told(ReportCapture)
    assert isinstance(report, ReportCapture)
    assert "from its hypervisor or the firmware" in report.because


def test_in_mode_relay_the_default_host_pulls_from_the_beginning(cluster: Cluster) -> None:
    bus = converged(Bus(dataclasses.replace(cluster, mode=Mode.RELAY)), 3)
    bus.run_until(lambda: relays_to(bus, "h1", "h2", "h3"), within_ms=2000)
    bus.run(500)
    assert told(bus["h2"]) == (Finding.RELAYED, None, 0)
    assert bus.violations == []


def cluster_of(cluster: Cluster, count: int) -> Cluster:
    hosts = tuple(
        Host(at, f"h{at}", IpAddress.parse(f"10.0.0.{10 + at}")) for at in range(1, count + 1)
    )
    return dataclasses.replace(cluster, hosts=hosts)


def noticed_ms(cluster: Cluster, count: int, phase_ms: int, how: Callable[[Bus], None]) -> float:
    """Return after how long host 1 of so many relays to all others, whatever it is that happens."""
    bus = Bus(cluster_of(cluster, count), seed=phase_ms)
    bus.add(*range(1, count + 1))
    bus.start()
    bus.run(1000 + phase_ms)
    how(bus)
    others = [f"h{at}" for at in range(2, count + 1)]
    took = bus.run_until(lambda: relays_to(bus, "h1", *others), within_ms=NOTICED_MS)
    assert bus.violations == []
    return took


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("what", ["leak", "capture"])
@pytest.mark.parametrize("phase_ms", range(3, 100, 12))
def test_all_is_relayed_within_300_ms_whatever_the_phase(
    cluster: Cluster, count: int, what: str, phase_ms: int
) -> None:
    assert noticed_ms(cluster, count, phase_ms, lambda bus: getattr(bus, what)("h1")) <= NOTICED_MS


@pytest.mark.prove
@pytest.mark.parametrize(("what", "phase_ms"), [("leak", 40), ("capture", 77)])
def test_sixteen_hosts_relay_within_300_ms_too(cluster: Cluster, what: str, phase_ms: int) -> None:
    """Two phases for all: each takes seconds, and the phases are swept with fewer hosts."""
    assert noticed_ms(cluster, 16, phase_ms, lambda bus: getattr(bus, what)("h1")) <= NOTICED_MS


def capture_unseen(bus: Bus, name: str, asked_count: int = 1) -> None:
    """Let the switch learn the VMAC at a machine without a witness: it asks who could have sent."""
    bus[name].has_witness = False
    bus.run(1500)
    bus.capture(name)
    asked = bus[name].told
    bus.run_until(lambda: len(asked(FindBypassers)) == asked_count, within_ms=NOTICED_MS)


def because(machine: Machine) -> str:
    """Why a machine holds what it has told last of a capture."""
    report = machine.told(ReportCapture)[-1]
    assert isinstance(report, ReportCapture)
    return report.because


@pytest.mark.parametrize(
    ("bypassers", "words"),
    [
        ((), "no program that runs on this host now can send past its guard"),
        ((Bypasser(Sender("netmon", 77, None), Bypass.PACKET),), "netmon"),
    ],
)
def test_where_nobody_saw_who_sent_those_who_could_are_told(
    bus: Bus, bypassers: tuple[Bypasser, ...], words: str
) -> None:
    capture_unseen(bus, "h2")
    bus.take(bus["h2"], BypassersFound(bypassers))
    (report,) = bus["h2"].told(ReportBypassers)
    assert isinstance(report, ReportBypassers)
    assert words in report.seen
    bus.run(300)
    assert words in because(bus["h2"])


def test_where_nobody_has_looked_who_could_have_sent_that_is_said(bus: Bus) -> None:
    capture_unseen(bus, "h2")
    bus.run(300)
    assert "this host cannot see who sends past its guard" in because(bus["h2"])


def test_each_capture_is_a_new_question_who_could_have_sent(bus: Bus) -> None:
    capture_unseen(bus, "h2")
    bus.run(1000)
    assert len(bus["h2"].told(FindBypassers)) == 1
    bus.age_out()
    capture_unseen(bus, "h2", asked_count=2)


def test_a_pull_and_what_the_guard_has_masked_are_no_news(bus: Bus) -> None:
    bus.run(1000)
    machine = bus["h1"]
    at = machine.clock(bus.now)
    pull = Sighting(Where.ARRIVED, FrameKind(EtherType.HEARTBEAT), BROADCAST, 1, at, at)
    masked = Sighting(Where.DEPARTED, FrameKind(0x0800), BROADCAST, 1, at, at)
    assert machine.member is not None
    counted = DeliveriesCounted(tuple(machine.arrived), (pull, masked))
    assert not machine.member.capture.count(counted, at)
    assert not machine.member.capture.deliveries.is_sighted(at)
