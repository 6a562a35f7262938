# SPDX-License-Identifier: Apache-2.0
"""The published snapshot: plain values, hosts by priority, and what turns into JSON."""

import dataclasses
import json

from tests.core.protocol.bus import Bus
from tests.core.protocol.conftest import converged

from wlbs.core.address import Mac
from wlbs.core.cluster import Cluster
from wlbs.core.protocol.effects import SendHeartbeat, State
from wlbs.core.protocol.events import (
    HeartbeatReceived,
    Instant,
    StartRequested,
    StopRequested,
    TimerFired,
)
from wlbs.core.protocol.member import Member
from wlbs.core.protocol.speaking import Incarnation
from wlbs.core.protocol.status import snapshot
from wlbs.core.rules import HostIndex

MS = 1_000_000


def station(index: int) -> Mac:
    return Mac(b"\x52\0\0\0\0" + bytes((index,)))


def member_of(cluster: Cluster, index: int) -> Member:
    return Member(cluster, HostIndex(index), Incarnation(station(index), 70 + index), Instant(0))


def said(member: Member, at_ms: int) -> list[bytes]:
    effects = member.handle(TimerFired(), Instant(at_ms * MS))
    return [effect.data for effect in effects if isinstance(effect, SendHeartbeat)]


def alone(cluster: Cluster) -> Member:
    """Return host 2 as it is when it has heard nobody for a while."""
    member = member_of(cluster, 1)
    member.handle(StartRequested(), Instant(0))
    for at_ms in range(100, 700, 100):
        member.handle(TimerFired(), Instant(at_ms * MS))
    return member


def test_the_snapshot_says_what_the_member_holds(cluster: Cluster) -> None:
    status = snapshot(alone(cluster), {"OWNER": 3}, Instant(600 * MS), lease_live=True)
    assert (status.cluster, status.mode, status.primary_ip) == ("web", "stealth", "10.0.0.1")
    assert (status.vmac, status.own_priority) == ("02:bf:0a:00:00:01", 2)
    assert (status.state, status.lease_live, status.timing) == (State.CONVERGED, True, "default")
    assert status.counters == {"OWNER": 3}
    assert [host.priority for host in status.hosts] == [1, 2, 3]
    assert [host.state for host in status.hosts] == ["unheard", "converged", "unheard"]
    assert [host.present for host in status.hosts] == [False, True, False]
    assert [host.is_default_host for host in status.hosts] == [False, True, False]
    assert [host.shares[0] for host in status.hosts] == [0, 4096, 0]
    assert [host.boot_nonce for host in status.hosts] == [None, 71, None]
    # Nobody knows yet whether the hosts that were never heard have connections.
    assert (status.flagged_count, status.left_count) == (3 * 4096, 0)


def test_a_peer_is_shown_as_it_was_last_heard(cluster: Cluster) -> None:
    member, peer = alone(cluster), member_of(cluster, 2)
    peer.handle(StartRequested(), Instant(0))
    (data,) = said(peer, 100)
    member.handle(HeartbeatReceived(station(2), data), Instant(600 * MS))

    def shown(at_ms: int) -> tuple[str, int | None, int | None]:
        host = snapshot(member, {}, Instant(at_ms * MS), lease_live=True).hosts[2]
        return host.state, host.heard_ms_ago, host.boot_nonce

    assert shown(650) == ("joining", 50, 72)
    assert shown(950) == ("silent", 350, 72)
    peer.handle(StopRequested(), Instant(200 * MS))
    (goodbye,) = said(peer, 300)
    member.handle(HeartbeatReceived(station(2), goodbye), Instant(960 * MS))
    assert shown(2000) == ("stopped", 1040, 72)


def test_refusals_are_counted(cluster: Cluster) -> None:
    member = alone(cluster)
    member.handle(HeartbeatReceived(station(9), b"garbage"), Instant(600 * MS))
    status = snapshot(member, {}, Instant(600 * MS), lease_live=True)
    assert {name: count for name, count in status.refusals.items() if count} == {"NOT_OURS": 1}


def test_the_snapshot_turns_into_json(cluster: Cluster) -> None:
    member = member_of(cluster, 1)
    status = dataclasses.asdict(snapshot(member, {}, Instant(0), lease_live=False))
    read = json.loads(json.dumps(status))
    assert read["hosts"][0]["name"] == "host1"
    assert read["state"] == "stopped"


def test_a_capture_and_what_was_done_about_it_are_said(cluster: Cluster) -> None:
    """Operators see the finding, whose port it is, who relays, and each step of healing."""
    bus = converged(Bus(cluster), 3)
    bus.run(1500)
    member = bus["h2"].member
    assert member is not None
    quiet = snapshot(member, {}, bus["h2"].clock(bus.now), lease_live=True).capture
    assert (quiet.finding, quiet.captor, quiet.receiver, quiet.ms_ago) == (
        "healthy",
        None,
        None,
        None,
    )
    bus.capture("h2")
    bus.run(1000)
    told = snapshot(member, {}, bus["h2"].clock(bus.now), lease_live=True).capture
    assert (told.finding, told.captor, told.receiver) == ("captured", 2, 2)
    assert told.ms_ago is not None
    assert 500 < told.ms_ago < 1000
    assert [each.step for each in told.steps] == ["relay"]
