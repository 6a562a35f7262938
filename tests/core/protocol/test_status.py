# SPDX-License-Identifier: Apache-2.0
"""The published snapshot: plain values, hosts by priority, and what turns into JSON."""

import dataclasses
import json

from wlbs.core.address import Mac
from wlbs.core.cluster import Cluster
from wlbs.core.protocol.effects import State
from wlbs.core.protocol.events import Instant, StartRequested, StopRequested
from wlbs.core.protocol.member import Member
from wlbs.core.protocol.status import snapshot
from wlbs.core.rules import HostIndex

STATION = Mac.parse("52:00:00:00:00:12")


def test_the_snapshot_says_what_the_member_holds(cluster: Cluster) -> None:
    member = Member(cluster, HostIndex(1), STATION, Instant(0))
    member.handle(StartRequested(HostIndex(1)), Instant(0))
    member.handle(StopRequested(HostIndex(0)), Instant(0))
    status = snapshot(cluster, member, {"OWNER": 3}, lease_live=True)
    assert (status.cluster, status.mode, status.primary_ip) == ("web", "stealth", "10.0.0.1")
    assert (status.vmac, status.own_priority) == ("02:bf:0a:00:00:01", 2)
    assert (status.state, status.lease_live, status.flagged_count) == (State.CONVERGED, True, 0)
    assert status.counters == {"OWNER": 3}
    assert [host.priority for host in status.hosts] == [1, 2, 3]
    assert [host.present for host in status.hosts] == [False, True, True]
    assert [host.is_default_host for host in status.hosts] == [False, True, False]
    assert [host.shares for host in status.hosts] == [
        (0, 0, 0),
        (2048, 2048, 4096),
        (2048, 2048, 0),
    ]


def test_flagged_buckets_are_counted(cluster: Cluster) -> None:
    member = Member(cluster, HostIndex(1), STATION, Instant(0))
    member.handle(StopRequested(HostIndex(0)), Instant(0))
    member.handle(StartRequested(HostIndex(0)), Instant(0))
    status = snapshot(cluster, member, {}, lease_live=False)
    # What host 1 takes back: its share of both rules and the whole of the default rule.
    assert status.flagged_count == 1366 + 1366 + 4096


def test_the_snapshot_turns_into_json(cluster: Cluster) -> None:
    member = Member(cluster, HostIndex(1), STATION, Instant(0))
    status = dataclasses.asdict(snapshot(cluster, member, {}, lease_live=False))
    read = json.loads(json.dumps(status))
    assert read["hosts"][0]["name"] == "host1"
    assert read["state"] == "stopped"
