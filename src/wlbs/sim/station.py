# SPDX-License-Identifier: Apache-2.0
"""A node's place on the segment: ARP, neighbours, and how IPv4 packets get into frames.

Every node asks and answers ARP as Linux does with ``arp_ignore=1`` and ``arp_announce=2``: it
answers for the address of its interface alone, and asks in its name. Entries do not age: a run is
over before Linux would ask again. Knows no cluster and no connection.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from wlbs.core.address import BROADCAST, IpAddress, Mac
from wlbs.core.frame import ARP_ANSWER, ARP_REQUEST, Arp, EtherType
from wlbs.scenario.topology import CLIENT_COUNT_MAX, Node
from wlbs.sim.frames import arp_answer, arp_request, ethernet
from wlbs.sim.schedule import NS_PER_S, Schedule

ASK_INTERVAL_NS: Final = 1 * NS_PER_S
ASK_COUNT_MAX: Final = 3
"""Linux's retrans_time_ms and mcast_solicit."""

FIRST_ROUTED_OCTET: Final = 101
FIRST_CLIENT_OCTET: Final = 201
"""Client cN has 10.9.0.(200+N), and the network 10.9.(100+N).0/24 behind it."""


@dataclass(slots=True)
class Question:
    """An address that is being asked for, and the packets that wait for it."""

    asked_count: int = 0
    packets: list[bytes] = field(default_factory=list)


class Station:
    """One interface."""

    def __init__(
        self,
        schedule: Schedule,
        node: Node,
        transmit: Callable[[bytes], None],
        on_neighbour: Callable[[IpAddress, Mac], None] = lambda _ip, _mac: None,
    ) -> None:
        """Send frames by ``transmit``."""
        self.node = node
        self.mac = node.mac
        """What the interface has as its address now; in mode unicast that of the cluster."""
        self._schedule = schedule
        self._transmit = transmit
        self._on_neighbour = on_neighbour
        self._neighbours: dict[IpAddress, Mac] = {}
        self._questions: dict[IpAddress, Question] = {}

    def set_mac(self, mac: Mac) -> None:
        """Have another address from now on, and say so (``arp_notify``)."""
        if mac != self.mac:
            self.mac = mac
            body = arp_request(mac, self.node.address, self.node.address)
            self._transmit(ethernet(BROADCAST, mac, EtherType.ARP, body))

    def send_packet(self, destination: IpAddress, packet: bytes) -> None:
        """Send an IPv4 packet, asking first for the hardware address if need be."""
        hop = next_hop(destination)
        mac = self._neighbours.get(hop)
        if mac is not None:
            self._transmit(ethernet(mac, self.mac, EtherType.IPV4, packet))
            return
        is_new = hop not in self._questions
        self._questions.setdefault(hop, Question()).packets.append(packet)
        if is_new:
            self._ask(hop)

    def receive_arp(self, arp: Arp) -> None:
        """Learn from ARP addressed to this node, and answer a request for its address.

        Whoever says that its own address has changed is believed by those who know it already.
        """
        if arp.sender_ip == arp.target_ip and arp.sender_ip in self._neighbours:
            self._learn(arp.sender_ip, arp.sender_mac)
        if arp.target_ip != self.node.address:
            return
        if arp.operation == ARP_REQUEST:
            self._learn(arp.sender_ip, arp.sender_mac)
            body = arp_answer(self.mac, self.node.address, arp.sender_mac, arp.sender_ip)
            self._transmit(ethernet(arp.sender_mac, self.mac, EtherType.ARP, body))
        elif arp.operation == ARP_ANSWER and self._is_wanted(arp.sender_ip):
            self._learn(arp.sender_ip, arp.sender_mac)

    def _is_wanted(self, ip: IpAddress) -> bool:
        return ip in self._questions or ip in self._neighbours

    def _learn(self, ip: IpAddress, mac: Mac) -> None:
        if self._neighbours.get(ip) != mac:
            self._neighbours[ip] = mac
            self._on_neighbour(ip, mac)
        question = self._questions.pop(ip, None)
        for packet in question.packets if question else ():
            self._transmit(ethernet(mac, self.mac, EtherType.IPV4, packet))

    def _ask(self, ip: IpAddress) -> None:
        question = self._questions.get(ip)
        if question is None:
            return
        if question.asked_count == ASK_COUNT_MAX:
            del self._questions[ip]
            return
        question.asked_count += 1
        body = arp_request(self.mac, self.node.address, ip)
        self._transmit(ethernet(BROADCAST, self.mac, EtherType.ARP, body))
        self._schedule.after(ASK_INTERVAL_NS, lambda: self._ask(ip))


def next_hop(destination: IpAddress) -> IpAddress:
    """Return whom a packet is handed to: the networks behind clients are reached through them."""
    third = destination.v4 >> 8 & 0xFF
    if FIRST_ROUTED_OCTET <= third < FIRST_ROUTED_OCTET + CLIENT_COUNT_MAX:
        number = third - FIRST_ROUTED_OCTET + FIRST_CLIENT_OCTET
        return IpAddress.from_v4(destination.v4 & 0xFFFF0000 | number)
    return destination
