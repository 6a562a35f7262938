# SPDX-License-Identifier: Apache-2.0
"""Whom frames reach beside the host that is meant: other hosts, bystanders, and back again.

Knows ports, addresses and packets as the switch shows them. Knows no table and asks no host.
"""

from collections import Counter, defaultdict

from wlbs.core.address import Mac
from wlbs.core.frame import ETHERNET_SIZE, EtherType
from wlbs.core.rules import HostIndex
from wlbs.scenario.evidence import Direction, SeenFrame
from wlbs.scenario.expectations import Bystanders, Visited
from wlbs.scenario.judging.observed import Observed, with_examples
from wlbs.scenario.report import Expectation


def visited(observed: Observed, wanted: Visited) -> Expectation:
    """Judge that each visitor was answered by every host but itself, once."""
    hosts = [host.name for host in observed.topology.hosts]
    answered: dict[str, Counter[str]] = defaultdict(Counter)
    for each in observed.evidence.attempts:
        if each.batch == wanted.batch:
            answered[each.client][each.answered_by or "nobody"] += 1
    wrong = [
        f"{visitor} was answered by {' '.join(sorted(by.elements()))}"
        for visitor, by in answered.items()
        if by != Counter(host for host in hosts if host != visitor)
    ]
    seen = f"{len(answered)} visitors, {len(wrong)} otherwise"
    return observed.found(
        f"every node of '{wanted.batch}' reaches each host by the host's own address",
        held=set(hosts) <= set(answered) and not wrong,
        seen=with_examples(seen, wrong),
    )


def own_arp_true(observed: Observed, what: str) -> Expectation:
    """Judge hosts' ARP about their own addresses: inside and outside one MAC, their own or masked.

    In mode multicast the address of the NIC, never the cluster's (960916); in mode unicast the
    masked one, by which others reach this host alone (Q197864). Judged from the beginning on, when
    every host takes part.
    """
    shown: dict[str, Mac] = {
        host.name: observed.cluster.masked_mac(HostIndex(host.number - 1), host.mac)
        for host in observed.topology.hosts
    }
    judged = [
        each
        for each in observed.arps
        if each.seen.at_s >= 0
        and each.seen.port in shown
        and each.arp.sender_ip != observed.topology.vip
    ]
    wrong = [
        each
        for each in judged
        if not each.arp.sender_mac == Mac(each.seen.data[6:12]) == shown[each.seen.port]
    ]
    return observed.found(
        what,
        held=bool(judged) and not wrong,
        seen=with_examples(
            f"{len(judged)} frames, {len(wrong)} otherwise",
            [f"{each.arp.sender_ip} at {each.arp.sender_mac}" for each in wrong],
        ),
        broke_s=[each.seen.at_s for each in wrong],
    )


def sent_once(observed: Observed, what: str) -> Expectation:
    """Judge that no packet comes in at the ports of two nodes: nobody has forwarded it."""
    first: dict[bytes, SeenFrame] = {}
    again: list[SeenFrame] = []
    for seen in observed.evidence.frames:
        identity = _packet_identity(seen)
        if not identity or seen.direction is not Direction.FROM_NODE:
            continue
        if first.setdefault(identity, seen).port != seen.port:
            again.append(seen)
    return observed.found(
        what,
        held=bool(first) and not again,
        seen=with_examples(
            f"{len(first)} packets, {len(again)} sent again",
            [f"{first[_packet_identity(each)].port}'s by {each.port}" for each in again],
        ),
        broke_s=[each.at_s for each in again],
    )


def bystanders(observed: Observed, wanted: Bystanders) -> Expectation:
    """Judge how much of the cluster's traffic strangers get."""
    share = bystander_share(observed)
    return observed.found(
        f"at most {wanted.share_max:.0%} of what is sent to the cluster reaches a bystander",
        held=share is not None and share <= wanted.share_max,
        seen="nothing was sent to it" if share is None else f"{share:.1%}",
    )


def bystander_share(observed: Observed) -> float | None:
    """Return the part that the worst stranger gets, or None if there is none, or no traffic."""
    sent = sum(1 for each in observed.sent if each.is_to_vip)
    ports = Counter(each.port for each in observed.delivered if each.is_to_vip)
    counts = [ports[node.name] for node in observed.topology.strangers]
    return round(max(counts) / sent, 4) if sent and counts else None


def _packet_identity(seen: SeenFrame) -> bytes:
    """Return the octets of an IPv4 packet that stay as they are when it is sent on; else nothing.

    The identification, and from the addresses on all that was captured: not the time to live, the
    checksum over it, or what stands before the packet.
    """
    ip = ETHERNET_SIZE
    if int.from_bytes(seen.data[ip - 2 : ip], "big") != EtherType.IPV4:
        return b""
    return seen.data[ip + 4 : ip + 6] + seen.data[ip + 12 :]
