# SPDX-License-Identifier: Apache-2.0
"""The eBPF programs and the reference agree: verdict, reason and bytes, on generated cases.

Frames are valid ones, bent: most fields come from small pools in which the table's own addresses
and ports are frequent, then octets are flipped and ends cut, so that every branch is reached.
"""

import struct
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

import pytest

from wlbs.core.address import BROADCAST, IpAddress, Mac
from wlbs.core.buckets import BUCKET_COUNT, HashKey
from wlbs.core.claim import Claim
from wlbs.core.filter import Verdict, decide, rewrite
from wlbs.core.guard import guard, mask
from wlbs.core.probe import PROBE_PORT, encode_request
from wlbs.core.protocol.events import Instant
from wlbs.core.reason import Action, Reason
from wlbs.core.rules import Affinity, HostIndex, PortRule, Protocol
from wlbs.core.table import NEXT_SHIFT, NOBODY, Buckets, FilterTable, Vip
from wlbs.datapath.counters import read_counter
from wlbs.datapath.loader import Datapath
from wlbs.linux import libbpf
from wlbs.linux.clock import now

SEED: Final = 20261123
TABLE_COUNT: Final = 150
FRAMES_PER_TABLE: Final = 800
SEEN_MIN: Final = 50
"""Cases in all: 120,000, each of them given to the filter and to the guard; 20,000 are drawn around
real sockets."""

LEASE_NS: Final = 3_600_000_000_000
XDP: Final = {Action.PASS: 2, Action.KEEP: 2, Action.ANSWER: 3, Action.RELAY: 3, Action.DROP: 1}
TC: Final = {Action.PASS: 0xFFFFFFFF, Action.MASK: 0xFFFFFFFF, Action.DROP: 2}

OWN: Final = HostIndex(3)
OTHER: Final = HostIndex(5)
HOSTS: Final = tuple(map(HostIndex, (0, OWN, OTHER, 7, 63)))
"""Who may relay or be relayed to."""
SIZE_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Cast:
    """Who may appear in frames for one table."""

    table: FilterTable
    macs: tuple[Mac, ...]
    addresses: tuple[int, ...]
    ports: tuple[int, ...]
    sources: tuple[Mac, ...]
    relayers: tuple[Mac, ...]
    dedicated_ip: int
    """Where the host is probed; the table may not know of it."""


def draw_cast(rng: Random) -> Cast:
    """Draw a table and the pools its frames come from."""
    vips = tuple(
        Vip(IpAddress.from_v4(value), rng.choice((OWN, OTHER)), rng.random() < 0.2)
        for value in dict.fromkeys(rng.getrandbits(32) for _ in range(rng.choice((1, 2, 5, 32))))
    )
    vips += () if len(vips) == 32 else (Vip(IpAddress(rng.getrandbits(128)), OWN),)
    rules = _draw_rules(rng, vips)
    dedicated_ip = rng.getrandbits(32)
    vmac = Mac(bytes((rng.choice((0x02, 0x03)),)) + rng.randbytes(5))
    station = rng.choice((vmac, *[Mac(b"\x00" + rng.randbytes(5))] * 3))
    masked = rng.choice((vmac, station, *[Mac(b"\x02" + rng.randbytes(5))] * 4))
    table = FilterTable(
        own=OWN,
        vmac=vmac,
        station_mac=station,
        masked_mac=masked,
        key=HashKey(rng.randbytes(16)),
        vips=vips,
        rules=rules,
        buckets=tuple(_draw_buckets(rng) for _ in range(len(rules) + 1)),
        is_stopped=rng.random() < 0.3,
        dedicated_ip=rng.choice((None, *[IpAddress.from_v4(dedicated_ip)] * 3)),
        boot_nonce=rng.getrandbits(64),
        receiver=rng.choice((None, None, OWN, OWN, *[OTHER] * 5, HostIndex(200))),
        station_macs=_draw_stations(rng, vmac),
    )
    edges = [edge for rule in rules for edge in (rule.first_port, rule.last_port)]
    v4 = [vip.address.v4 for vip in vips if vip.address.is_v4]
    group = rng.choice((0xE0000000, 0xEFFFFFFF, 0xDFFFFFFF, 0xF0000000))
    macs = (*[vmac] * 8, *[station] * 3, *[masked] * 2, BROADCAST, Mac(rng.randbytes(6)))
    stations = [mac for _, mac in table.station_macs]
    receiver = table.station_of(table.receiver) or BROADCAST
    return Cast(
        table,
        macs,
        (*v4 * 3, rng.getrandbits(32), v4[0] ^ 1, 0, dedicated_ip, group),
        tuple({port & 0xFFFF for edge in edges for port in (edge - 1, edge, edge + 1)} | {80, 0}),
        (*macs, *stations, *stations),
        (*[receiver] * 8, *stations),
        dedicated_ip,
    )


def _draw_stations(rng: Random, vmac: Mac) -> tuple[tuple[HostIndex, Mac], ...]:
    macs = (vmac, *[Mac(b"\x02" + rng.randbytes(5)) for _ in range(8)])
    return tuple((host, rng.choice(macs)) for host in HOSTS if rng.random() < 0.9)


def _draw_rules(rng: Random, vips: tuple[Vip, ...]) -> tuple[PortRule, ...]:
    rules: list[PortRule] = []
    for _ in range(rng.choice((0, 1, 4, 120))):
        first = rng.choice((0, rng.randrange(65536), rng.randrange(1024)))
        rule = PortRule(
            first,
            min(65535, first + rng.choice((0, 1, 255, 5000))),
            rng.choice(tuple(Protocol)),
            rng.choice((None, rng.choice(vips).address)),
            affinity=rng.choice(tuple(Affinity)),
        )
        if len(rules) < 32 and not any(rule.overlaps(other) for other in rules):
            rules.append(rule)
    return tuple(rules)


def _draw_buckets(rng: Random) -> Buckets:
    owners = (OWN, OWN, OWN, OTHER, OTHER, NOBODY)
    marks = rng.choices((0, 0, 1, 1, 1, 2, 3), k=BUCKET_COUNT)
    holders = rng.choices(HOSTS, k=BUCKET_COUNT)
    return Buckets(
        bytes(rng.choices(owners, k=BUCKET_COUNT)),
        bytes(mark | to << NEXT_SHIFT for mark, to in zip(marks, holders, strict=True)),
    )


def draw_frame(rng: Random, cast: Cast) -> bytes:
    """Draw one frame that came in or goes out, 14 to `SIZE_MAX` bytes long."""
    source = rng.choice(cast.sources) if rng.random() < 0.4 else Mac(b"\x00" + rng.randbytes(5))
    kind = rng.random()
    destination = rng.choice(cast.macs)
    if kind < 0.64:
        ethertype, body = 0x0800, _draw_ipv4(rng, cast)
        if kind < 0.36:
            destination = rng.choice((cast.table.station_mac, cast.table.masked_mac))
            source = rng.choice(cast.relayers)
    elif kind < 0.86:
        ethertype, body = 0x0806, _draw_arp(rng, cast)
    elif kind < 0.90:
        ethertype, body = _draw_probe(rng, cast)
        destination = cast.table.station_mac if ethertype == 0x0800 else cast.table.vmac
    elif kind < 0.95:
        ethertype, body = 0x86DD, _draw_neighbour(rng, cast)
    else:
        ethertype = rng.choice((0x8100, 0x88A8, 0x886F, 0x86DD, rng.randrange(65536)))
        body = rng.randbytes(rng.randrange(60))
    frame = bytearray(destination.octets + source.octets)
    frame += ethertype.to_bytes(2, "big") + body
    return _bend(rng, frame)


def _bend(rng: Random, frame: bytearray) -> bytes:
    if rng.random() < 0.08:
        del frame[rng.randrange(14, len(frame) + 1) :]
    if rng.random() < 0.10:
        for _ in range(rng.randrange(1, 4)):
            frame[rng.randrange(len(frame))] = rng.randrange(256)
    if rng.random() < 0.5:
        frame += bytes(max(0, 60 - len(frame)))
    return bytes(frame[:SIZE_MAX])


def _draw_arp(rng: Random, cast: Cast) -> bytes:
    return (
        struct.pack("!HHBBH", 1, 0x0800, 6, 4, rng.choice((1, 1, 1, 2, 3)))
        + rng.choice((rng.choice(cast.macs).octets, rng.randbytes(6)))
        + rng.choice((rng.getrandbits(32), rng.choice(cast.addresses))).to_bytes(4, "big")
        + rng.randbytes(6)
        + rng.choice(cast.addresses).to_bytes(4, "big")
        + rng.randbytes(rng.choice((0, 18)))
    )


def _draw_neighbour(rng: Random, cast: Cast) -> bytes:
    """Draw IPv6 neighbour discovery with up to six options, one of which may be of no size."""
    kind = rng.choice((132, 133, 134, 135, 136, 137))
    body = bytes((kind, 0)) + rng.choice((rng.randbytes(2), bytes(2), b"\xff\xff"))
    body += rng.randbytes(rng.choice(({133: 4, 134: 12}.get(kind, 20), 5)))
    for _ in range(rng.randrange(7)):
        units = rng.choice((1, 1, 1, 1, 2, 0))
        named = rng.choice((cast.table.vmac.octets, rng.choice(cast.macs).octets))
        body += bytes((rng.choice((1, 1, 2, 2, 3, 14)), units)) + named
        body += rng.randbytes(max(0, units - 1) * 8)
    header = struct.pack(
        "!IHBB", rng.choice((6, 6, 6, 6, 6, 4)) << 28, len(body), rng.choice((58, 58, 58, 17)), 255
    )
    return header + rng.randbytes(32) + body


def _draw_ipv4(rng: Random, cast: Cast) -> bytes:
    protocol = rng.choice((6, 6, 6, 6, 6, 6, 17, 17, 1, 1, 47))
    options = rng.choice((0, 0, 0, 4, 40))
    transport = _draw_transport(rng, cast, protocol)
    total = 20 + options + len(transport)
    if rng.random() < 0.1:
        total = rng.randrange(total + 30)
    fragment = 0x4000
    if rng.random() < 0.08:
        fragment = rng.choice((0x2000, 1, 0x2001, 0x1FFF, 0x8000, 0xFFFF))
    header = struct.pack(
        "!BBHHHBBHII",
        0x40 | (20 + options) // 4,
        0,
        total,
        rng.randrange(65536),
        fragment,
        rng.choice((64, 64, 255, 0, 1, 2)),
        protocol,
        rng.choice((rng.getrandbits(16), 0, 0xFEFF, 0xFFFF)),
        rng.getrandbits(32),
        rng.choice(cast.addresses),
    )
    return header + rng.randbytes(options) + transport


def _draw_probe(rng: Random, cast: Cast) -> tuple[int, bytes]:
    """Draw a probe of either kind, ethertype and body, that may be off by one anywhere."""
    if rng.random() < 0.3:
        numbers = bytes((rng.randrange(3), rng.choice((1, 2, 2, 2)), rng.randrange(70)))
        return 0x886F, rng.choice((b"wlbs", b"wlbs", b"wlbt")) + numbers + rng.randbytes(9)
    payload = encode_request(rng.getrandbits(64)) + bytes(rng.choice((0, 0, 0, 1)))
    size = 8 + len(payload) + rng.choice((0, 0, 0, 0, -1, 1))
    port = PROBE_PORT + rng.choice((0, 0, 0, 0, 1))
    udp = struct.pack("!HHHH", rng.randrange(65536), port, size, rng.getrandbits(16))
    options = rng.choice((0, 0, 0, 4, 40))
    words = (20 + options) // 4
    fragment = rng.choice((0, 0x4000, 0x4000, 0x4000, 0x2000, 1))
    total = 20 + options + len(udp + payload) + rng.choice((0, 0, 0, 0, -1, 20))
    header = struct.pack("!BBHHHBBH", 0x40 | words, 0, total, 7, fragment, 64, 17, 0)
    pair = struct.pack("!II", rng.getrandbits(32), cast.dedicated_ip ^ rng.choice((0, 0, 0, 0, 1)))
    return 0x0800, header + pair + rng.randbytes(options) + udp + payload


def _draw_transport(rng: Random, cast: Cast, protocol: int) -> bytes:
    ports = struct.pack("!HH", rng.randrange(65536), rng.choice(cast.ports))
    payload = rng.randbytes(rng.choice((0, 0, 6, 40)))
    if protocol == 6:
        offset = rng.choice((5, 5, 5, 5, 5, 5, 8, 15, rng.randrange(16))) << 4
        flags = rng.choice((0x02, 0x10, 0x12, 0x04, 0x14, 0x18, 0x11, 0xC2, 0))
        return ports + rng.randbytes(8) + bytes((offset, flags)) + rng.randbytes(6) + payload
    if protocol == 17:
        return ports + struct.pack("!HH", 8 + len(payload), 0) + payload
    return rng.randbytes(8) + payload


class Twins:
    """The loaded programs beside the reference, and what was counted so far."""

    def __init__(self, datapath: Datapath) -> None:
        """Begin with nothing counted."""
        self.datapath = datapath
        self.seen: Counter[Reason] = Counter()
        self.lease_live = False
        self._filter = libbpf.FrameRunner(datapath.descriptor("wlbs_filter"))
        self._guard = libbpf.FrameRunner(datapath.descriptor("wlbs_guard"))

    def hold(self, *, lease_live: bool) -> None:
        """Let the lease run for as long as the test may last, or end it."""
        self.lease_live = lease_live
        self.datapath.hold_lease(Instant(now() + LEASE_NS if lease_live else 0))

    def check(self, name: str, cast: Cast, frame: bytes, verdict: Verdict) -> None:
        """Run one program on one frame and compare everything it did."""
        is_filter = name == "filter"
        runner, codes = (self._filter, XDP) if is_filter else (self._guard, TC)
        code, after, _ = runner.run(frame)
        self.seen[verdict.reason] += 1
        counted = read_counter(self.datapath.descriptor("counters"), verdict.reason)
        rewritten = (
            rewrite(cast.table, frame, verdict, lease_live=self.lease_live)
            if is_filter
            else mask(cast.table, frame, verdict)
        )
        expected = (codes[verdict.action], self.seen[verdict.reason], rewritten)
        assert (code, counted, after) == expected, f"{name}: {verdict}, {frame.hex()}"


def can_be_sent(frame: bytes) -> bool:
    """Whether the kernel makes a packet of these bytes: it wants a whole IP header."""
    size_min = {b"\x08\x00": 14 + 20, b"\x86\xdd": 14 + 40}.get(frame[12:14], 15)
    return len(frame) >= size_min


def relayer(table: FilterTable, frame: bytes, verdict: Verdict) -> str:
    """Tell four ways to be relayed apart: by the receiver or further on, by the owner or not."""
    assert verdict.rule is not None and verdict.bucket is not None, "a bucket decided"  # noqa: PT018
    owner = table.rule_buckets(verdict.rule)[verdict.bucket].owner
    hop = "first" if frame[:6] == table.vmac.octets else "further"
    return f"{hop} by {'owner' if owner == table.own else 'another'}"


@pytest.fixture
def twins(pins: Path, dictated_object: Path) -> Twins:
    return Twins(Datapath.load(pins, dictated_object))


def test_programs_and_reference_agree(twins: Twins, pins: Path) -> None:
    rng = Random(SEED)  # noqa: S311 - wanted: the same cases every time
    claim_fd = libbpf.open_pinned(pins / "dictated_claim")
    senders: Counter[int] = Counter()
    relays: Counter[str] = Counter()
    for _ in range(TABLE_COUNT):
        cast = draw_cast(rng)
        twins.datapath.install(cast.table)
        lease_live = rng.random() < 0.7
        twins.hold(lease_live=lease_live)
        for _ in range(FRAMES_PER_TABLE):
            frame = draw_frame(rng, cast)
            claim = rng.choice(tuple(Claim))
            libbpf.update(claim_fd, bytes(4), claim.to_bytes(4, "little"))
            verdict = decide(cast.table, frame, claim=claim, lease_live=lease_live)
            twins.check("filter", cast, frame, verdict)
            if verdict.reason is Reason.DELIVERY_PROBE:
                senders[frame[20]] += 1
            if verdict.reason is Reason.RELAYED:
                relays[relayer(cast.table, frame, verdict)] += 1
            if can_be_sent(frame):
                twins.check("guard", cast, frame, guard(cast.table, frame))
    seldom = {
        reason: twins.seen[reason]
        for reason in Reason
        if reason is not Reason.NO_TABLE and twins.seen[reason] < SEEN_MIN
    }
    assert not seldom, f"too few cases: {seldom}"
    assert len(relays) == 4, f"too few ways to be relayed: {relays}"
    assert min(relays.values()) >= SEEN_MIN, f"too few cases: {relays}"
    assert twins.datapath.counters() == {reason: twins.seen[reason] for reason in Reason}
    assert twins.datapath.deliveries(64).arrived == tuple(senders[host] for host in range(64))


def test_without_a_table_everything_passes(twins: Twins) -> None:
    rng = Random(SEED)  # noqa: S311 - wanted: the same cases every time
    cast = draw_cast(rng)
    assert cast.table.own == OWN
    for name in ("filter", "guard"):
        twins.check(name, cast, draw_frame(rng, cast), Verdict(Reason.NO_TABLE))
    assert twins.datapath.counters()[Reason.NO_TABLE] == 2
