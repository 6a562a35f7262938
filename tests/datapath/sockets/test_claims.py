# SPDX-License-Identifier: Apache-2.0
"""The filter claims on real sockets of every state what the reference claims.

Frames are drawn around what a socket expects: right, one off, at the edges of the window, beyond,
half the circle away.
"""

import socket
import struct
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Final

from wlbs.core.address import Mac
from wlbs.core.buckets import BUCKET_COUNT
from wlbs.core.claim import (
    WINDOW,
    Claim,
    Connection,
    HalfOpen,
    Listener,
    SocketFacts,
    TimeWait,
    judge,
)
from wlbs.core.filter import decide, rewrite
from wlbs.core.frame import Segment, TcpFlags
from wlbs.core.protocol.events import Instant
from wlbs.core.reason import Action, Reason
from wlbs.core.table import Buckets, FilterTable, Mark
from wlbs.datapath.counters import read_counter
from wlbs.datapath.loader import Datapath
from wlbs.linux import libbpf
from wlbs.linux.clock import now

SEED: Final = 20261124
TABLE_COUNT: Final = 40
FRAMES_PER_TABLE: Final = 500
"""Cases in all: 20,000; with those of the dictated claim 100,000."""
SHARE_MIN: Final = 0.2
SEEN_MIN: Final = 50

HOUR_NS: Final = 3_600_000_000_000
XDP: Final = {Action.PASS: 2, Action.KEEP: 2, Action.DROP: 1}
CLIENT_MAC: Final = Mac.parse("02:00:00:00:00:99")
CIRCLE: Final = 1 << 32

Pair = tuple[str, int, int, SocketFacts | None]
"""A name, a client's port and one of ours, and what socket the host has for them."""


def expected_by(facts: SocketFacts | None) -> tuple[tuple[int, ...], int]:
    """Return the acknowledgements a socket waits for, and the sequence number."""
    match facts:
        case Listener(cookie, rcv_nxt):
            return ((cookie or 0) + 1,), rcv_nxt
        case HalfOpen(snt_isn, rcv_nxt):
            return (snt_isn + 1,), rcv_nxt
        case TimeWait(snd_nxt, rcv_nxt):
            return (snd_nxt,), rcv_nxt
        case Connection(snd_una, write_seq, rcv_nxt):
            return (snd_una, write_seq), rcv_nxt
        case None:
            return (0,), 0


def draw_segment(rng: Random, pair: Pair) -> Segment:
    """Draw a segment around what the socket expects."""
    _, client_port, server_port, facts = pair
    acknowledgements, sequence = expected_by(facts)
    edges: tuple[int, ...] = (
        0,
        1,
        -1,
        WINDOW,
        -WINDOW,
        1 - WINDOW,
        -WINDOW - 1,
        WINDOW + 1,
        CIRCLE // 2,
    )
    if isinstance(facts, Listener):
        # Just beside a cookie may be another: its lowest bits choose the segment size.
        edges = (0, 0, 99)
    return Segment(
        client_port,
        server_port,
        (sequence + rng.choice((0, 0, *edges))) % CIRCLE,
        rng.choice((rng.choice(acknowledgements) + rng.choice(edges), rng.getrandbits(32)))
        % CIRCLE,
        TcpFlags(rng.choice((0x10, 0x10, 0x10, 0x10, 0x14, 0x12, 0x04, 0x04, 0x02, 0))),
    )


def frame_of(segment: Segment, vmac: Mac, fin: int) -> bytes:
    addresses = socket.inet_aton("10.0.0.99") + socket.inet_aton("10.0.0.1")
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 40, 0, 0, 64, 6, 0) + addresses
    tcp = struct.pack(
        "!HHIIBBHHH",
        segment.source_port,
        segment.destination_port,
        segment.sequence,
        segment.acknowledgement,
        5 << 4,
        segment.flags | fin,
        1024,
        0,
        0,
    )
    return vmac.octets + CLIENT_MAC.octets + b"\x08\x00" + ip + tcp


def draw_table(rng: Random, table: FilterTable) -> FilterTable:
    """Draw who owns what; three buckets of five are flagged."""
    owners = bytes(rng.choices((table.own, table.own + 1), k=BUCKET_COUNT))
    marks = bytes(rng.choices((0, 0, 1, 1, 3), k=BUCKET_COUNT))
    is_stopped = rng.random() < 0.1
    return replace(table, buckets=(Buckets(owners, marks),), is_stopped=is_stopped)


def test_the_filter_claims_what_the_reference_claims(
    pins: Path, own_everything: FilterTable, pairs: tuple[Pair, ...]
) -> None:
    rng = Random(SEED)  # noqa: S311 - wanted: the same cases every time
    datapath = Datapath.load(pins)
    runner = libbpf.FrameRunner(datapath.descriptor("wlbs_filter"))
    seen: Counter[Reason] = Counter()
    claims: Counter[tuple[str, Claim]] = Counter()
    contested: Counter[str] = Counter()
    for number in range(TABLE_COUNT):
        table = draw_table(rng, own_everything)
        lease_live = number % 2 == 0
        datapath.install(table)
        datapath.hold_lease(Instant(now() + HOUR_NS if lease_live else 0))
        for _ in range(FRAMES_PER_TABLE):
            pair = rng.choice(pairs)
            name, facts = pair[0], pair[3]
            segment = draw_segment(rng, pair)
            claim = judge(facts, segment) if facts else Claim.NONE
            frame = frame_of(segment, table.vmac, rng.choice((0, 0, 1)))
            verdict = decide(table, frame, claim=claim, lease_live=lease_live)
            code, after, _ = runner.run(frame)
            seen[verdict.reason] += 1
            counted = read_counter(datapath.descriptor("counters"), verdict.reason)
            kept = rewrite(table, frame, verdict, lease_live=lease_live)
            told = f"{pair}, {segment}: {claim!r}, {verdict}"
            assert (code, counted, after) == (XDP[verdict.action], seen[verdict.reason], kept), told
            claims[name, claim] += 1
            assert verdict.rule is not None
            assert verdict.bucket is not None
            marks = table.rule_buckets(verdict.rule)[verdict.bucket].marks
            contested["flagged"] += bool(marks & Mark.FLAGGED)
            contested["expired"] += not lease_live
    assert all(count >= SHARE_MIN * seen.total() for count in contested.values()), contested
    assert not {each: count for each, count in claims.items() if count < SEEN_MIN}
    connected = {name for name, *_ in pairs} - {"listener", "nothing", "cookie"}
    both = {(name, claim) for name in connected for claim in (Claim.SOCKET, Claim.NONE)}
    assert set(claims) == both | {
        ("listener", Claim.LISTENER),
        ("nothing", Claim.NONE),
        ("cookie", Claim.LISTENER),
        ("cookie", Claim.COOKIE),
    }
