# SPDX-License-Identifier: Apache-2.0
"""The reference filter: what a host does with a frame it receives, and why.

This is the specification. ``datapath/bpf/ingress.h`` is its fast twin, and a test runs both on
the same cases and compares verdict, reason and bytes. Knows the table, the frame, whether the
lease is live, and what a look-up among the host's sockets said (the *claim*). Knows no clock, no
socket and no map.

How a frame is decided, in order, the first that applies:

1. Heartbeats pass; delivery probes are counted and dropped. A frame *from* the VMAC is dropped: no
   legitimate sender has that source, unless hosts are told not to mask it.
2. Frames for another station pass untouched; the stack drops them, as it would without us. So does
   the host's own traffic, but for liveness probes, which are answered here. What was sent to its
   masked address, or to its dedicated IP under the VMAC, is given the address its interface has.
3. ARP is answered by the one host that resolves the virtual IP, with the VMAC inside and the
   masked address outside. Everybody else is silent, and so is the stack.
4. IPv4 to a virtual IP is kept or dropped by the bucket of its flow. Whatever else was sent to the
   VMAC is dropped, so that a host with forwarding on never sends it on; but for multicast, of which
   the stack knows whether anybody has joined.

A bucket is *held* by its owner while the owner's lease is live. In a flagged bucket, and in every
bucket once the lease has run out, a TCP segment is kept only by the host whose socket claims it;
what belongs to no connection there is dropped in silence, without a reset.

A bare SYN always goes to the bucket's owner, and no claim is asked for it. An earlier holder may
know the pair: half open, where the client never got the SYN-ACK and sends its SYN again; or in
TIME_WAIT, where the client uses the pair again. Nothing more is needed. The owner answers with a
number of its own, the client acknowledges whichever answer it took, and the claim brings that, and
all that follows, to the one host that sent it; the other's half-open socket hears nothing and goes.
Giving the SYN to the earlier holder would keep the bucket contested while clients come back.

A host that was stopped serves not even its connections: its lease is out, and it drops whatever it
would hold.

While one host receives for all, what it does not keep is sent on: `relay` says to whom. All others
take relayed frames only. Without a live lease nothing is relayed: others may have taken over.
"""

from dataclasses import dataclass
from typing import Final, assert_never

from wlbs.core.address import MAC_SIZE
from wlbs.core.buckets import BucketIndex, Flow, bucket_of
from wlbs.core.claim import Claim
from wlbs.core.frame import (
    ARP_ANSWER,
    ARP_PREFIX,
    ARP_REQUEST,
    ETHERNET_SIZE,
    UDP_SIZE,
    Arp,
    Datagram,
    EtherType,
    Frame,
    IcmpMessage,
    IpProtocol,
    Malformed,
    Packet,
    Segment,
    parse,
)
from wlbs.core.probe import PROBE_SIZE, Answer, delivery_sender, encode_answer, read_challenge
from wlbs.core.reason import ACTION, Action, Reason
from wlbs.core.relay import relay_target, send_on
from wlbs.core.rules import DEFAULT_RULE, Affinity, HostIndex, RuleIndex, find_rule
from wlbs.core.table import NOBODY, FilterTable, Mark


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a frame, why, and which bucket of which rule decided it, if one did.

    ``relay_to`` names whom a relayed frame goes to.
    """

    reason: Reason
    rule: RuleIndex | None = None
    bucket: BucketIndex | None = None
    relay_to: HostIndex | None = None

    @property
    def action(self) -> Action:
        """What the reason does to the frame."""
        return ACTION[self.reason]


def decide(  # noqa: PLR0911 - one return for each way to be decided, in the order of the list
    table: FilterTable, data: bytes, *, claim: Claim, lease_live: bool
) -> Verdict:
    """Return what this host does with a received frame; total over all bytes, never raises."""
    frame = parse(data)
    if isinstance(frame, Malformed):
        return Verdict(Reason.NOT_CLUSTER)
    to_vmac = frame.destination == table.vmac
    if frame.ethertype == EtherType.HEARTBEAT:
        is_probe = to_vmac and delivery_sender(data[ETHERNET_SIZE:]) is not None
        return Verdict(Reason.DELIVERY_PROBE if is_probe else Reason.HEARTBEAT)
    if frame.source == table.vmac != table.masked_mac:
        return Verdict(Reason.SOURCE_VMAC)
    own = (table.vmac, table.station_mac, table.masked_mac)
    if not (frame.destination in own or frame.destination.is_group):
        return Verdict(Reason.NOT_CLUSTER)
    match frame.ethertype:
        case EtherType.ARP:
            return _decide_arp(table, frame, lease_live=lease_live)
        case EtherType.IPV4:
            return _decide_ipv4(table, frame, claim=claim, lease_live=lease_live)
        case _ if not to_vmac:
            return Verdict(_not_cluster(table, frame))
        case _ if frame.is_tagged:
            return Verdict(Reason.VLAN)
        case _:
            return Verdict(Reason.ETHERTYPE)


def rewrite(table: FilterTable, data: bytes, verdict: Verdict, *, lease_live: bool) -> bytes:
    """Return a received frame as it goes on after its verdict."""
    match verdict.action:
        case Action.KEEP:
            return table.station_mac.octets + data[MAC_SIZE:]
        case Action.ANSWER:
            if verdict.reason is Reason.PROBE_ANSWERED:
                return _probe_answer(table, data, lease_live=lease_live)
            return _arp_answer(table, data)
        case Action.RELAY:
            return send_on(table, data, verdict.relay_to)
        case Action.PASS | Action.DROP | Action.MASK:
            return data  # what is masked is rewritten by the guard
        case _:
            assert_never(verdict.action)


def _not_cluster(table: FilterTable, frame: Frame) -> Reason:
    """Return why a frame is this host's own business; all but multicast was sent to it alone."""
    is_elsewhere = frame.destination == table.masked_mac != table.station_mac
    is_elsewhere = is_elsewhere or frame.destination == table.vmac
    return Reason.OWN if is_elsewhere else Reason.NOT_CLUSTER


def _decide_arp(  # noqa: PLR0911 - as in `decide`
    table: FilterTable, frame: Frame, *, lease_live: bool
) -> Verdict:
    arp = frame.payload
    to_vmac = frame.destination == table.vmac
    if not isinstance(arp, Arp):
        return Verdict(Reason.ARP_MALFORMED if to_vmac else _not_cluster(table, frame))
    if table.vip(arp.sender_ip):
        is_ours = arp.sender_mac == table.vmac
        return Verdict(Reason.ARP_ANNOUNCED if is_ours else Reason.ARP_CONFLICT)
    vip = table.vip(arp.target_ip)
    if vip is None and (not to_vmac or arp.target_ip == table.dedicated_ip):
        return Verdict(_not_cluster(table, frame))
    if vip is None or arp.operation != ARP_REQUEST:
        return Verdict(Reason.ARP_OTHER)
    if to_vmac and table.receiver is not None:
        # Nobody else has got it.
        if table.receiver != table.own:
            return Verdict(Reason.RELAY_AWAITED)
    elif not (vip.resolver == table.own or vip.everyone_answers):
        return Verdict(Reason.ARP_NOT_OWNER)
    return Verdict(Reason.ARP_ANSWERED if lease_live else _without_lease(table))


def _without_lease(table: FilterTable) -> Reason:
    """Return why a host without a live lease drops what it would take with one."""
    return Reason.STOPPED if table.is_stopped else Reason.LEASE_EXPIRED


def _arp_answer(table: FilterTable, data: bytes) -> bytes:
    """Return the answer to an ARP request: VMAC inside, masked MAC outside (KB Q193602).

    Everything behind the ARP body (padding) stays as it came.
    """
    sender, own_ip, body_end = data[22:32], data[38:42], 42
    return (
        data[MAC_SIZE : 2 * MAC_SIZE]
        + table.masked_mac.octets
        + data[12:14]
        + ARP_PREFIX
        + ARP_ANSWER.to_bytes(2, "big")
        + table.vmac.octets
        + own_ip
        + sender
        + data[body_end:]
    )


def _probe_answer(table: FilterTable, data: bytes, *, lease_live: bool) -> bytes:
    """Return the answer to a liveness probe: addresses and ports swapped, the payload replaced.

    The header's checksum stays right, because a sum does not depend on its order; UDP's is zero,
    which in IPv4 means none (RFC 768).
    """
    udp = ETHERNET_SIZE + (data[ETHERNET_SIZE] & 0x0F) * 4
    payload, end = udp + UDP_SIZE, udp + UDP_SIZE + PROBE_SIZE
    challenge = int.from_bytes(data[payload + 8 : payload + 16], "little")
    answer = Answer(challenge, lease_live, table.boot_nonce)
    return (
        data[MAC_SIZE : 2 * MAC_SIZE]
        + table.masked_mac.octets
        + data[12:26]
        + data[30:34]
        + data[26:30]
        + data[34:udp]
        + data[udp + 2 : udp + 4]
        + data[udp : udp + 2]
        + data[udp + 4 : udp + 6]
        + bytes(2)
        + encode_answer(answer, table.key)
        + data[end:]
    )


def _decide_ipv4(  # noqa: PLR0911 - as in `decide`
    table: FilterTable, frame: Frame, *, claim: Claim, lease_live: bool
) -> Verdict:
    packet = frame.payload
    to_vmac = frame.destination == table.vmac
    if not isinstance(packet, Packet):
        return Verdict(Reason.IPV4_MALFORMED if to_vmac else _not_cluster(table, frame))
    if table.vip(packet.destination) is None:
        return Verdict(_judge_other(table, frame, packet))
    if to_vmac and table.receiver not in {None, table.own}:
        return Verdict(Reason.RELAY_AWAITED)
    if frame.destination.is_group and not to_vmac:
        # A host must not accept unicast that came as link-layer broadcast (RFC 1122, 3.3.6).
        return Verdict(Reason.GROUP_DESTINATION)
    if packet.is_later_fragment:
        return Verdict(Reason.FRAGMENT if lease_live else _without_lease(table))
    if packet.is_malformed:
        return Verdict(_MALFORMED[packet.protocol])
    verdict = _decide_flow(table, packet, claim=claim, lease_live=lease_live)
    if table.receiver is None or not lease_live:
        return verdict
    return _relayed(table, frame, packet, verdict)


def _judge_other(table: FilterTable, frame: Frame, packet: Packet) -> Reason:
    """Judge what was sent to no virtual IP: own traffic, multicast, or nobody's."""
    is_group = frame.destination.is_group
    if frame.destination == table.vmac:
        if packet.destination.is_multicast:
            return Reason.NOT_CLUSTER
        if packet.destination != table.dedicated_ip:
            return Reason.NOT_VIP
    elif is_group:
        return Reason.NOT_CLUSTER
    if read_challenge(packet, table.dedicated_ip) is not None:
        return Reason.PROBE_ANSWERED
    return _not_cluster(table, frame)


_MALFORMED: Final[dict[int, Reason]] = {
    IpProtocol.TCP: Reason.TCP_MALFORMED,
    IpProtocol.UDP: Reason.UDP_MALFORMED,
    IpProtocol.ICMP: Reason.ICMP_MALFORMED,
}


def _decide_flow(table: FilterTable, packet: Packet, *, claim: Claim, lease_live: bool) -> Verdict:
    rule, index = locate(table, packet)
    bucket = table.rule_buckets(rule)[index]
    segment = packet.transport
    is_contested = not lease_live or bool(bucket.marks & Mark.FLAGGED)
    if is_contested and isinstance(segment, Segment) and not segment.is_bare_syn:
        is_holder = bucket.owner == table.own or bool(bucket.marks & Mark.EARLIER_HOLDER)
        reason = _judge_claim(table, claim, is_holder=is_holder, lease_live=lease_live)
    elif bucket.owner != table.own:
        reason = Reason.DISABLED if bucket.owner == NOBODY else Reason.NOT_OWNER
    else:
        reason = Reason.OWNER if lease_live else _without_lease(table)
    return Verdict(reason, rule, index)


def _relayed(table: FilterTable, frame: Frame, packet: Packet, verdict: Verdict) -> Verdict:
    """Return a verdict as it is while frames are relayed: what others may keep is sent on."""
    assert verdict.rule is not None and verdict.bucket is not None, "a bucket decided"  # noqa: PT018
    bucket = table.rule_buckets(verdict.rule)[verdict.bucket]
    to = relay_target(table, frame, packet, bucket, verdict.reason)
    return verdict if to is None else Verdict(Reason.RELAYED, verdict.rule, verdict.bucket, to)


def _judge_claim(table: FilterTable, claim: Claim, *, is_holder: bool, lease_live: bool) -> Reason:
    """Judge a segment of a connection in a bucket that others may hold by now.

    Without a live lease even a good cookie is refused: it would be a new connection, and those are
    another host's. Only a holder, present or earlier, can have sent the cookie. A host that was
    stopped serves not even the connections it has, so there no claim is asked for.
    """
    if table.is_stopped and not lease_live:
        return Reason.STOPPED
    if claim is Claim.SOCKET:
        return Reason.CLAIMED
    if not lease_live:
        return Reason.LEASE_EXPIRED
    return Reason.COOKIE if claim is Claim.COOKIE and is_holder else Reason.UNCLAIMED


def locate(table: FilterTable, packet: Packet) -> tuple[RuleIndex, BucketIndex]:
    """Return the rule and bucket that decide a packet to a virtual IP.

    The default rule hashes by client address alone: it also carries protocols without ports.
    """
    match packet.transport:
        case (
            Segment(source_port=client_port, destination_port=server_port)
            | Datagram(source_port=client_port, destination_port=server_port)
        ):
            rule = find_rule(table.rules, packet.destination, packet.protocol, server_port)
        case IcmpMessage() | None:
            client_port, server_port, rule = 0, 0, DEFAULT_RULE
        case _:
            assert_never(packet.transport)
    affinity = Affinity.SINGLE if rule == DEFAULT_RULE else table.rules[rule].affinity
    flow = Flow(packet.source, client_port, server_port, packet.protocol)
    return rule, bucket_of(table.key, affinity, flow)
