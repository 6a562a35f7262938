# SPDX-License-Identifier: Apache-2.0
"""What must hold across the hosts of a cluster, stated once and judged by everybody.

Each guarantee is a pure function from what was observed to the violations in it. The simulator,
the lab and the doctor bring the observations; none of them has an opinion of its own. Knows
nothing of how anything was observed.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from wlbs.core.address import IpAddress, Mac
from wlbs.core.claim import Claim
from wlbs.core.filter import Verdict, decide, rewrite
from wlbs.core.frame import ARP_ANSWER, ETHERNET_SIZE, Arp, EtherType, Malformed, parse
from wlbs.core.probe import is_pull
from wlbs.core.reason import Action, Reason
from wlbs.core.rules import HostIndex
from wlbs.core.table import Buckets, FilterTable


class Guarantee(StrEnum):
    """The guarantees of docs/design/protocol.md that are judged so far."""

    ONE_OWNER = "S1: no two hosts keep the same new flow"
    NO_GAP = "L1: every flow of an enabled rule has exactly one owner"
    STALLED_KEEPS_NOTHING = "S4: a host whose agent stands still keeps no new flow"
    VMAC_HIDDEN = "S3: no frame has the VMAC as its source"
    RELAYED_ONCE = "S6: no host is relayed to while it takes frames from the segment"
    ARP_TRUE = "ARP for a virtual IP names the VMAC inside and another MAC outside"


@dataclass(frozen=True, slots=True)
class Violation:
    """One breach of a guarantee, and what was seen."""

    guarantee: Guarantee
    seen: str


def judge_owners(tables: Sequence[FilterTable], data: bytes) -> tuple[Violation, ...]:
    """Judge the law for one frame to a virtual IP: of all hosts with a live lease one keeps it.

    Where frames are relayed, so is this one. Holds for frames without marks on their bucket; later
    fragments are the stated exception.
    """
    judged = list(_judged(tables, data))
    if any(verdict.reason in {Reason.FRAGMENT, Reason.DISABLED} for _, verdict in judged):
        return ()
    keepers = [
        host + 1 for host, verdict in judged if verdict.action in {Action.KEEP, Action.ANSWER}
    ]
    if len(keepers) > 1:
        return (Violation(Guarantee.ONE_OWNER, f"kept by hosts {keepers}: {data.hex()}"),)
    if not keepers:
        return (Violation(Guarantee.NO_GAP, f"kept by nobody: {data.hex()}"),)
    return ()


def _judged(tables: Sequence[FilterTable], data: bytes) -> Iterator[tuple[HostIndex, Verdict]]:
    """Yield who decides what of a frame that all of them get, and of what they send on."""
    for table in tables:
        verdict = decide(table, data, claim=Claim.NONE, lease_live=True)
        yield table.own, verdict
        if verdict.action is Action.RELAY:
            others = [other for other in tables if other.own != table.own]
            yield from _judged(others, rewrite(table, data, verdict, lease_live=True))


def judge_pair(one: FilterTable, other: FilterTable) -> tuple[Violation, ...]:
    """Judge two hosts that hear each other and both have a live lease: no bucket has two owners."""
    pairs = zip(one.buckets, other.buckets, strict=True)
    doubled = [_owned(mine, one.own) & _owned(theirs, other.own) for mine, theirs in pairs]
    count = sum(each.bit_count() for each in doubled)
    if not count:
        return ()
    seen = f"hosts {one.own + 1} and {other.own + 1} both own {count} buckets"
    return (Violation(Guarantee.ONE_OWNER, seen),)


def judge_relays(one: FilterTable, other: FilterTable) -> tuple[Violation, ...]:
    """Judge two hosts of which the second hears the first, which has a live lease.

    What is relayed to a host that gets the segment's own frames as well, it would keep twice.
    """
    takes_frames = other.receiver is None or other.receiver == other.own
    if one.receiver != one.own or one.station_of(other.own) is None or not takes_frames:
        return ()
    seen = f"host {one.own + 1} relays to {other.own + 1}, which takes frames from the segment"
    return (Violation(Guarantee.RELAYED_ONCE, seen),)


def judge_silent(host: HostIndex, silence_ns: int, detection_ns: int) -> tuple[Violation, ...]:
    """Judge a host with a live lease whose agent has done nothing for so long.

    Whoever cannot hear it takes its buckets over after the detection time.
    """
    if silence_ns <= detection_ns:
        return ()
    seen = f"host {host + 1} has a live lease after {silence_ns / 1e6:g} ms without its agent"
    return (Violation(Guarantee.STALLED_KEEPS_NOTHING, seen),)


def judge_sources(vmac: Mac, frames: Iterable[bytes]) -> tuple[Violation, ...]:
    """Judge that no frame sent on the segment has the VMAC as its source; a pull is meant to."""
    return tuple(
        Violation(Guarantee.VMAC_HIDDEN, f"ethertype {frame.ethertype:#06x} from {vmac}")
        for data in frames
        if not isinstance(frame := parse(data), Malformed) and frame.source == vmac
        if frame.ethertype != EtherType.HEARTBEAT or not is_pull(data[ETHERNET_SIZE:])
    )


def judge_arp_answers(
    vmac: Mac, vips: frozenset[IpAddress], frames: Iterable[bytes]
) -> tuple[Violation, ...]:
    """Judge every ARP answer for a virtual IP: VMAC inside, any other unicast MAC outside."""
    violations = []
    for frame in map(parse, frames):
        if isinstance(frame, Malformed) or not isinstance(frame.payload, Arp):
            continue
        arp = frame.payload
        if arp.operation != ARP_ANSWER or arp.sender_ip not in vips:
            continue
        if arp.sender_mac != vmac or frame.source == vmac:
            seen = f"{arp.sender_ip} is at {arp.sender_mac}, said by {frame.source}"
            violations.append(Violation(Guarantee.ARP_TRUE, seen))
    return tuple(violations)


def _owned(buckets: Buckets, host: HostIndex) -> int:
    """Return a number with one bit for each bucket that a host owns."""
    mine = bytes(int(owner == host) for owner in range(256))
    return int.from_bytes(buckets.owners.translate(mine), "little")
