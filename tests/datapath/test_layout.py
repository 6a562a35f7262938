# SPDX-License-Identifier: Apache-2.0
"""Both ends of the layout agree: sizes, offsets and reasons, by the object's own BTF."""

import ctypes
import re
from collections.abc import Iterator

import pytest

from wlbs.core.address import IpAddress
from wlbs.core.buckets import BUCKET_COUNT
from wlbs.core.reason import Reason
from wlbs.core.rules import DEFAULT_RULE, HostIndex, PortRule, find_rule
from wlbs.core.table import Vip
from wlbs.datapath import layout, tap
from wlbs.datapath.loader import OBJECT

KIND_STRUCT = 4


class Member(ctypes.Structure):
    """``struct btf_member``."""

    _fields_ = (("name", ctypes.c_uint32), ("type", ctypes.c_uint32), ("bits", ctypes.c_uint32))


class Type(ctypes.Structure):
    """``struct btf_type``, followed by its members."""

    _fields_ = (("name", ctypes.c_uint32), ("info", ctypes.c_uint32), ("size", ctypes.c_uint32))


class TypeInformation:
    """The object's BTF, read by libbpf."""

    def __init__(self) -> None:
        """Read the object that is shipped."""
        self._library = ctypes.CDLL("libbpf.so.1")
        self._library.btf__parse.restype = ctypes.c_void_p
        self._library.btf__type_by_id.restype = ctypes.c_void_p
        self._library.btf__name_by_offset.restype = ctypes.c_char_p
        self._btf = ctypes.c_void_p(self._library.btf__parse(str(OBJECT).encode(), None))
        assert self._btf, "the object has no BTF"

    def close(self) -> None:
        """Free what libbpf holds."""
        self._library.btf__free(self._btf)

    def describe(self, name: str) -> tuple[int, dict[str, int]]:
        """Return a structure's size and where each member is."""
        number = self._library.btf__find_by_name_kind(self._btf, name.encode(), KIND_STRUCT)
        assert number > 0, f"no struct {name}"
        address = self._library.btf__type_by_id(self._btf, number)
        found = Type.from_address(address)
        members = (Member * (found.info & 0xFFFF)).from_address(address + ctypes.sizeof(Type))
        names = (self._library.btf__name_by_offset(self._btf, each.name) for each in members)
        offsets = {name.decode(): each.bits // 8 for name, each in zip(names, members, strict=True)}
        return found.size, offsets


@pytest.fixture
def types() -> Iterator[TypeInformation]:
    information = TypeInformation()
    yield information
    information.close()


def test_the_table_is_laid_out_the_same_at_both_ends(types: TypeInformation) -> None:
    size, offsets = types.describe("filter_table")
    assert size == layout.TABLE_SIZE
    assert offsets == {
        "vmac": 0,
        "station_mac": 8,
        "masked_mac": 16,
        "key": 24,
        "vip_multiplier": 72,
        "vlan": 76,
        "own": 78,
        "is_stopped": 79,
        "dedicated_ip": 80,
        "boot_nonce": 96,
        "receiver": 104,
        "reserved": 105,
        "station_macs": layout.STATION_MACS_AT,
        "vips": layout.VIPS_AT,
        "rules": layout.RULES_AT,
        "rule_count": layout.PORT_PAGES_AT - layout.RESERVED_TAIL_SIZE - 1,
        "reserved_tail": layout.PORT_PAGES_AT - layout.RESERVED_TAIL_SIZE,
        "port_pages": layout.PORT_PAGES_AT,
        "pages": layout.PAGES_AT,
        "buckets": layout.BUCKETS_AT,
    }


@pytest.mark.parametrize(
    ("name", "size", "offsets"),
    [
        (
            "vip_slot",
            layout.VIP_SLOT.size,
            {"address": 0, "index": 16, "resolver": 17, "everyone_answers": 18, "reserved": 19},
        ),
        ("hash_key", 48, {"words": 0, "v4_state": 16}),
        ("rule_slot", layout.RULE_SLOT.size, {"affinity": 0, "mode": 1, "reserved": 2}),
        ("bucket", layout.BUCKETS_SIZE // BUCKET_COUNT, {"owner": 0, "marks": 1}),
        (
            "lease",
            layout.LEASE.size,
            {"until_jiffies": 0, "last_new_flow": 8, "first_taken_flow": 16, "boot_nonce": 24},
        ),
        (
            "census",
            layout.CENSUS.size,
            {"foreign": 0, "connection_count": 264, "foreign_count": 272, "rule_count": 280},
        ),
        (
            "sighting_key",
            layout.SIGHTING_KEY.size,
            {"sender": 0, "destination": 8, "llc": 16, "ethertype": 24},
        ),
        (
            "sighting",
            layout.SIGHTING.size,
            {
                "count": 0,
                "first": 8,
                "last": 16,
                "socket": 24,
                "process": 32,
                "reserved": 36,
                "comm": 40,
            },
        ),
        ("tap", tap.TAP.size, {"until_jiffies": 0, "lost": 8}),
        (
            "tapped",
            tap.TAPPED.size + tap.SNAP_SIZE,
            {
                "at_ns": 0,
                "ifindex": 8,
                "length": 12,
                "captured": 16,
                "reason": 20,
                "action": 21,
                "reserved": 22,
                "data": tap.TAPPED.size,
            },
        ),
        ("lease_request", layout.LEASE_REQUEST.size, {"until_ns": 0, "tick_ns": 8}),
    ],
)
def test_each_part_is_laid_out_the_same_at_both_ends(
    types: TypeInformation, name: str, size: int, offsets: dict[str, int]
) -> None:
    assert types.describe(name) == (size, offsets)


def test_reasons_have_the_same_numbers_at_both_ends() -> None:
    header = OBJECT.with_name("filter.h").read_text("utf-8")
    found = re.findall(r"REASON_(\w+) = (\d+)", header)
    assert {name: int(number) for name, number in found} == {
        reason.name: reason.value for reason in Reason
    }


def test_thirty_two_consecutive_addresses_have_slots_of_their_own() -> None:
    addresses = tuple(IpAddress.from_v4(0x0A000001 + index) for index in range(32))
    multiplier = layout.find_multiplier(addresses)
    assert len({layout.vip_slot(address, multiplier) for address in addresses}) == 32
    assert layout.find_multiplier(addresses) == multiplier


def test_addresses_that_no_multiplier_separates_are_refused_by_name() -> None:
    pair = (IpAddress.parse("2001:db8::1:2"), IpAddress.parse("2001:db8::1:0:2"))
    swapped = IpAddress((pair[0].value & ~0xFFFFFFFFFFFFFFFF) | (0x00010002 << 32))
    with pytest.raises(layout.LayoutError, match="2001:db8::1:2"):
        layout.find_multiplier((pair[0], swapped))


def test_each_port_is_mapped_to_the_rule_that_covers_it() -> None:
    vips = tuple(Vip(IpAddress.parse(text), HostIndex(0)) for text in ("10.0.0.1", "10.0.0.2"))
    rules = (
        PortRule(80, 80),
        PortRule(255, 256),
        PortRule(1000, 65535, vip=vips[1].address),
    )
    ports = layout.map_ports(vips, rules)
    for place, (vip, protocol) in enumerate((vip, proto) for vip in vips for proto in (6, 17)):
        for port in (0, 79, 80, 81, 254, 255, 256, 257, 999, 1000, 1024, 65535):
            page = ports.pages[ports.port_pages[place * 256 + (port >> 8)]]
            assert page[port & 0xFF] == find_rule(rules, vip.address, protocol, port)
    assert ports.pages[0] == bytes((DEFAULT_RULE,)) * 256


def test_the_most_scattered_rules_fit_the_pages() -> None:
    vips = tuple(Vip(IpAddress.from_v4(0x0A000001 + index), HostIndex(0)) for index in range(32))
    rules = tuple(
        PortRule(1000 * index + 100, 1000 * index + 700, vip=vips[index].address)
        for index in range(32)
    )
    assert len(layout.map_ports(vips, rules).pages) <= 161
