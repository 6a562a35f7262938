# SPDX-License-Identifier: Apache-2.0
"""The filter table as the bytes of a kernel map: the twin of ``bpf/filter.h``.

Knows offsets, sizes, how a virtual IP finds its slot and a port its rule. Knows nothing of files,
maps or what the fields mean. A test compares every offset with the object's BTF.

Rules are found at a cost that does not depend on their number. A port's high octet names a page,
its low octet the rule on that page; equal pages are kept once. Only a page in which a rule begins
or ends holds more than one rule. Thirty-two rules have 64 such ends, each seen by at most two
different pages (TCP's and UDP's), and 33 pages hold one rule throughout: 161 are enough, so that
an octet can name each page and the filter needs no check of its number.
"""

import struct
from dataclasses import dataclass
from typing import Final

from wlbs.core.address import IP_SIZE, IpAddress, Mac
from wlbs.core.buckets import BUCKET_COUNT, siphash_start
from wlbs.core.frame import IpProtocol
from wlbs.core.rules import (
    DEFAULT_RULE,
    RULE_COUNT_MAX,
    Affinity,
    HostIndex,
    PortRule,
    RuleIndex,
)
from wlbs.core.table import NOBODY, VIP_COUNT_MAX, Buckets, FilterTable, Vip

HOST_COUNT_MAX: Final = 64
TABLE_COUNT: Final = 4
VIP_SLOT_COUNT: Final = 256
VIP_SLOT_SHIFT: Final = 24
PORT_PAGE_COUNT: Final = 256
PORT_PAGE_SIZE: Final = 256

HEAD: Final = struct.Struct("<QQQ16s4QIHB?16sQB7x")
"""VMAC, station MAC, masked MAC, hash key, its IPv4 state, multiplier, VLAN (reserved), own, is it
stopped, dedicated IP, boot nonce, receiver."""
STATION_MAC: Final = struct.Struct("<Q")
VIP_SLOT: Final = struct.Struct("<16sBBB5x")
RULE_SLOT: Final = struct.Struct("<BBxx")
LEASE: Final = struct.Struct("<QQQQ")
CENSUS: Final = struct.Struct(f"<{RULE_COUNT_MAX + 1}QQQQ")
"""A map of groups for each rule, the default rule last; connections, foreign ones, rules."""
LEASE_REQUEST: Final = struct.Struct("<QQ")
COUNTER: Final = struct.Struct("<Q")
SIGHTING_COUNT_MAX: Final = 256
SIGHTING_KEY: Final = struct.Struct("<QQ8sQ")
"""Sender, destination, LLC header, ethertype."""
SIGHTING: Final = struct.Struct("<QQQQI4x16s")
"""Count, first and last instant, socket, process, name."""
WATCHED: Final = struct.Struct("<QQ")
"""Network namespace, interface."""

STATION_MACS_SIZE: Final = STATION_MAC.size * HOST_COUNT_MAX
RULE_COUNT_SIZE: Final = 1
RESERVED_TAIL_SIZE: Final = 3
PORT_PAGES_SIZE: Final = VIP_COUNT_MAX * 2 * PORT_PAGE_SIZE
PAGES_SIZE: Final = PORT_PAGE_COUNT * PORT_PAGE_SIZE
BUCKETS_SIZE: Final = 2 * BUCKET_COUNT

STATION_MACS_AT: Final = HEAD.size
VIPS_AT: Final = STATION_MACS_AT + STATION_MACS_SIZE
RULES_AT: Final = VIPS_AT + VIP_SLOT_COUNT * VIP_SLOT.size
PORT_PAGES_AT: Final = (
    RULES_AT + (RULE_COUNT_MAX + 1) * RULE_SLOT.size + RULE_COUNT_SIZE + RESERVED_TAIL_SIZE
)
PAGES_AT: Final = PORT_PAGES_AT + PORT_PAGES_SIZE
BUCKETS_AT: Final = PAGES_AT + PAGES_SIZE
TABLE_SIZE: Final = BUCKETS_AT + (RULE_COUNT_MAX + 1) * BUCKETS_SIZE

_WORD32: Final = 0xFFFFFFFF
_ATTEMPTS_MAX: Final = 1 << 16
_NO_BUCKETS: Final = bytes((NOBODY, 0)) * BUCKET_COUNT


class LayoutError(ValueError):
    """The table does not fit the kernel's maps; the message says why."""


@dataclass(frozen=True, slots=True)
class PortMap:
    """Which rule covers each port: numbers of pages, and the pages."""

    port_pages: tuple[int, ...]
    """By virtual IP, then TCP before UDP, then the port's high octet."""
    pages: tuple[bytes, ...]


def encode(table: FilterTable) -> bytes:
    """Return the table as ``struct filter_table``; LayoutError if it does not fit."""
    multiplier = find_multiplier(tuple(vip.address for vip in table.vips))
    head = HEAD.pack(
        _mac_word(table.vmac),
        _mac_word(table.station_mac),
        _mac_word(table.masked_mac),
        table.key.octets,
        *siphash_start(table.key.octets, bytes(8)),
        multiplier,
        0,
        table.own,
        table.is_stopped,
        table.dedicated_ip.octets if table.dedicated_ip else bytes(IP_SIZE),
        table.boot_nonce,
        NOBODY if table.receiver is None else table.receiver,
    )
    ports = map_ports(table.vips, table.rules)
    data = b"".join(
        (
            head,
            _station_slots(table.station_macs),
            _vip_slots(table.vips, multiplier),
            _rule_slots(table.rules),
            bytes((len(table.rules),)),
            bytes(RESERVED_TAIL_SIZE),
            bytes(ports.port_pages).ljust(PORT_PAGES_SIZE, b"\0"),
            b"".join(ports.pages).ljust(PAGES_SIZE, bytes((DEFAULT_RULE,))),
            _bucket_slots(table),
        )
    )
    assert len(data) == TABLE_SIZE, f"{len(data)} bytes of {TABLE_SIZE}"
    return data


@dataclass(frozen=True, slots=True)
class Installed:
    """What can be told from the bytes of an installed table without knowing its rules."""

    data: bytes

    @property
    def own(self) -> HostIndex:
        """The host that decides by it."""
        return HostIndex(HEAD.unpack_from(self.data)[10])

    @property
    def is_stopped(self) -> bool:
        """Whether that host has been stopped."""
        return bool(HEAD.unpack_from(self.data)[11])

    @property
    def receiver(self) -> HostIndex | None:
        """Who receives the cluster's frames for all, if anybody does."""
        receiver = HostIndex(HEAD.unpack_from(self.data)[14])
        return None if receiver == NOBODY else receiver

    def buckets(self, rule: RuleIndex) -> Buckets:
        """Return the buckets of a rule, the default rule included."""
        at = BUCKETS_AT + rule * BUCKETS_SIZE
        pairs = self.data[at : at + BUCKETS_SIZE]
        return Buckets(pairs[::2], pairs[1::2])


def vip_slot(address: IpAddress, multiplier: int) -> int:
    """Return the slot of a virtual IP: the top octet of its folded words times the multiplier."""
    words: tuple[int, int, int, int] = struct.unpack("<4I", address.octets)
    folded = words[0] ^ words[1] ^ words[2] ^ words[3]
    return (folded * multiplier & _WORD32) >> VIP_SLOT_SHIFT


def find_multiplier(addresses: tuple[IpAddress, ...]) -> int:
    """Return a multiplier under which no two addresses share a slot; the same one every time."""
    # Knuth's multiplicative constant (TAOCP 6.4), stepped by another odd number's double.
    multiplier, step = 2654435761, 2 * 0x5851F42D
    for _ in range(_ATTEMPTS_MAX):
        if len({vip_slot(address, multiplier) for address in addresses}) == len(addresses):
            return multiplier
        multiplier = (multiplier + step) & _WORD32
    names = ", ".join(map(str, addresses))
    message = f"the virtual IPs {names} cannot be told apart by the filter's hash; change one"
    raise LayoutError(message)


def map_ports(vips: tuple[Vip, ...], rules: tuple[PortRule, ...]) -> PortMap:
    """Return which rule covers each port of each virtual IP."""
    numbers: dict[bytes, int] = {bytes((DEFAULT_RULE,)) * PORT_PAGE_SIZE: 0}
    views: dict[tuple[int, ...], tuple[int, ...]] = {}
    port_pages: list[int] = []
    for vip in vips:
        for protocol in (IpProtocol.TCP, IpProtocol.UDP):
            covering = tuple(
                index
                for index, rule in enumerate(rules)
                if rule.covers(vip.address, protocol, rule.first_port)
            )
            if covering not in views:
                views[covering] = tuple(
                    numbers.setdefault(page, len(numbers)) for page in _pages(rules, covering)
                )
            port_pages.extend(views[covering])
    if len(numbers) > PORT_PAGE_COUNT:
        message = f"the port rules need {len(numbers)} pages of {PORT_PAGE_COUNT}; merge some"
        raise LayoutError(message)
    return PortMap(tuple(port_pages), tuple(numbers))


def _pages(rules: tuple[PortRule, ...], covering: tuple[int, ...]) -> tuple[bytes, ...]:
    ports = bytearray((DEFAULT_RULE,)) * (PORT_PAGE_SIZE * PORT_PAGE_SIZE)
    # The first rule wins, as in `find_rule`; rules do not overlap, so this is for garbage only.
    for index in reversed(covering):
        first, last = rules[index].first_port, rules[index].last_port
        ports[first : last + 1] = bytes((index,)) * (last + 1 - first)
    return tuple(
        bytes(ports[at : at + PORT_PAGE_SIZE]) for at in range(0, len(ports), PORT_PAGE_SIZE)
    )


def _mac_word(mac: Mac) -> int:
    return int.from_bytes(mac.octets, "little")


def _station_slots(station_macs: tuple[tuple[HostIndex, Mac], ...]) -> bytes:
    slots = bytearray(STATION_MACS_SIZE)
    for index, mac in station_macs:
        STATION_MAC.pack_into(slots, index * STATION_MAC.size, _mac_word(mac))
    return bytes(slots)


def _vip_slots(vips: tuple[Vip, ...], multiplier: int) -> bytes:
    slots = bytearray(VIP_SLOT_COUNT * VIP_SLOT.size)
    for index, vip in enumerate(vips):
        VIP_SLOT.pack_into(
            slots,
            vip_slot(vip.address, multiplier) * VIP_SLOT.size,
            vip.address.octets,
            index,
            vip.resolver,
            vip.everyone_answers,
        )
    return bytes(slots)


def _rule_slots(rules: tuple[PortRule, ...]) -> bytes:
    # The default rule, like every slot no rule uses, hashes by client address alone.
    slots = [RULE_SLOT.pack(Affinity.SINGLE, 0)] * (RULE_COUNT_MAX + 1)
    for index, rule in enumerate(rules):
        slots[index] = RULE_SLOT.pack(rule.affinity, rule.mode)
    return b"".join(slots)


def _bucket_slots(table: FilterTable) -> bytes:
    slots = [_NO_BUCKETS] * (RULE_COUNT_MAX + 1)
    for index in (*range(len(table.rules)), DEFAULT_RULE):
        source = table.buckets[-1 if index == DEFAULT_RULE else index]
        pairs = bytearray(BUCKETS_SIZE)
        pairs[::2], pairs[1::2] = source.owners, source.marks
        slots[index] = bytes(pairs)
    return b"".join(slots)
