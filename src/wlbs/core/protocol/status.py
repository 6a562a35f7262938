# SPDX-License-Identifier: Apache-2.0
"""The snapshot a host publishes of itself: what `wlbs query` shows and scripts read.

Knows plain values only, so that it turns into JSON as it stands. Knows nothing of how it is
transported or shown.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Final

from wlbs.core.protocol.capturing import Capture
from wlbs.core.protocol.diagnosing import Finding
from wlbs.core.protocol.effects import State
from wlbs.core.protocol.events import Instant
from wlbs.core.protocol.member import Member
from wlbs.core.protocol.peers import Peer
from wlbs.core.protocol.refusal import Refusal
from wlbs.core.rules import HostIndex
from wlbs.core.table import MARKS_MASK, FilterTable, Mark

NS_PER_MS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class HostStatus:
    """One host as the reporting host sees it.

    ``state`` is what the host last said of itself, ``silent`` if it has not been heard within the
    detection time, ``unheard`` if it never was. ``shares`` has its buckets, one count per rule, by
    the reporting host's table. ``heard_ms_ago`` is None for the reporting host and one unheard.
    """

    priority: int
    name: str
    dedicated_ip: str
    state: str
    present: bool
    is_default_host: bool
    shares: tuple[int, ...]
    heard_ms_ago: int | None
    boot_nonce: int | None


@dataclass(frozen=True, slots=True)
class HealingStatus:
    """One step that this host took because frames for the VMAC do not reach everybody."""

    step: str
    because: str
    ms_ago: int


@dataclass(frozen=True, slots=True)
class CaptureStatus:
    """How frames for the VMAC travel, as the reporting host last told its operator.

    ``captor`` and ``receiver`` are host priorities; ``ms_ago`` is None if there was never anything
    to tell. ``steps`` has the latest steps of healing, the oldest first.
    """

    finding: str
    means: str
    captor: int | None
    receiver: int | None
    because: str
    ms_ago: int | None
    steps: tuple[HealingStatus, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """What one host says of itself and its cluster.

    ``counters`` counts frames by reason, ``refusals`` heartbeats by why they were refused;
    ``flagged_count`` counts its buckets in which another host may have connections,
    ``left_count`` other hosts' buckets in which it may have some itself.
    """

    cluster: str
    mode: str
    primary_ip: str
    vmac: str
    timing: str
    own_priority: int
    state: State
    lease_live: bool
    flagged_count: int
    left_count: int
    capture: CaptureStatus
    hosts: tuple[HostStatus, ...]
    counters: dict[str, int]
    refusals: dict[str, int]


def snapshot(member: Member, counters: dict[str, int], now: Instant, *, lease_live: bool) -> Status:
    """Return the status of a member, with the counters and lease its data path reports."""
    table, cluster = member.table, member.cluster
    octets = [octet for each in table.buckets for octet in each.marks]
    marks = Counter(octet & MARKS_MASK for octet in octets)
    return Status(
        cluster=cluster.name,
        mode=cluster.mode,
        primary_ip=str(cluster.primary),
        vmac=str(table.vmac),
        timing=cluster.timing.name,
        own_priority=table.own + 1,
        state=member.state,
        lease_live=lease_live,
        flagged_count=marks[Mark.FLAGGED],
        left_count=marks[Mark.FLAGGED | Mark.EARLIER_HOLDER],
        capture=_capture(member.capture, now),
        hosts=tuple(
            HostStatus(
                priority=host.priority,
                name=host.name,
                dedicated_ip=str(host.dedicated_ip),
                state=_state_of(member, host.index, now),
                present=host.index in member.present,
                is_default_host=host.index == min(member.present, default=None),
                shares=_shares(table, host.index),
                heard_ms_ago=_heard_ms_ago(member.peers.get(host.index), now),
                boot_nonce=_boot_nonce(member, host.index),
            )
            for host in sorted(cluster.hosts, key=lambda each: each.priority)
        ),
        counters=counters,
        refusals={each.name: member.hearing.counts[each] for each in Refusal},
    )


def _capture(capture: Capture, now: Instant) -> CaptureStatus:
    report = capture.report
    finding = Finding.HEALTHY if report is None else report.finding
    return CaptureStatus(
        finding=finding.name.lower(),
        means=finding,
        captor=_priority(report.captor) if report else None,
        receiver=_priority(report.receiver) if report else None,
        because=report.because if report else "",
        ms_ago=(now - capture.report_at) // NS_PER_MS if report else None,
        steps=tuple(
            HealingStatus(each.step, each.because, (now - at) // NS_PER_MS)
            for each, at in capture.steps
        ),
    )


def _priority(host: HostIndex | None) -> int | None:
    return None if host is None else host + 1


def _state_of(member: Member, index: HostIndex, now: Instant) -> str:
    peer = member.peers.get(index)
    if peer is None:
        return member.state
    if peer.report is None:
        return "unheard"
    if member.peers.is_heard(peer, now) or peer.is_stopped:
        return peer.report.state
    return "silent"


def _heard_ms_ago(peer: Peer | None, now: Instant) -> int | None:
    if peer is None or peer.report is None:
        return None
    return (now - peer.heard_at) // NS_PER_MS


def _boot_nonce(member: Member, index: HostIndex) -> int | None:
    peer = member.peers.get(index)
    if peer is None:
        return member.table.boot_nonce
    return peer.report.boot_nonce if peer.report else None


def _shares(table: FilterTable, host: HostIndex) -> tuple[int, ...]:
    return tuple(each.owners.count(host) for each in table.buckets)
