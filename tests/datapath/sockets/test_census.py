# SPDX-License-Identifier: Apache-2.0
"""The census counts what ``ss`` shows of the same namespace, by the filter's own buckets."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Final

import pytest

from wlbs.core.address import IpAddress
from wlbs.core.buckets import BUCKET_COUNT
from wlbs.core.census import BUCKETS_PER_GROUP, Census
from wlbs.core.claim import SocketFacts
from wlbs.core.filter import locate
from wlbs.core.frame import Packet, Segment, TcpFlags
from wlbs.core.rules import DEFAULT_RULE, Affinity, HostIndex, PortRule
from wlbs.core.table import Buckets, FilterTable
from wlbs.datapath.loader import Datapath
from wlbs.linux import namespace

SEED: Final = 20261125
TABLE_COUNT: Final = 20
VIP: Final = IpAddress.parse("10.0.0.1")
NO_CONNECTION: Final = {"LISTEN", "TIME-WAIT", "UNCONN"}


@pytest.fixture
def datapath(pins: Path, pairs: tuple[tuple[str, int, int, SocketFacts | None], ...]) -> Datapath:
    """Return the programs, loaded once the namespace has its sockets."""
    assert pairs
    return Datapath.load(pins)


def shown() -> Iterator[Packet]:
    """Yield a client's packet for each connection to the virtual IP that ``ss`` shows."""
    words = ["ss", "--no-header", "--tcp", "--all", "--numeric", "--options"]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    for line in done.stdout.splitlines():
        state, _, _, own, peer, *rest = line.split()
        # What only waits for the client's FIN is remembered as if in TIME_WAIT.
        if state in NO_CONNECTION or any("timewait" in word for word in rest):
            continue
        (address, port), (client, client_port) = (each.rsplit(":", 1) for each in (own, peer))
        if IpAddress.parse(address.strip("[]")) == VIP:
            segment = Segment(int(client_port), int(port), 0, 0, TcpFlags.ACK)
            source = IpAddress.parse(client.strip("[]"))
            yield Packet(source, VIP, 6, transport=segment)


def counted_by_hand(table: FilterTable) -> Census:
    foreign = [0] * (len(table.rules) + 1)
    located = [locate(table, packet) for packet in shown()]
    foreign_count = 0
    for rule, bucket in located:
        if table.rule_buckets(rule)[bucket].owner != table.own:
            foreign_count += 1
            at = -1 if rule == DEFAULT_RULE else rule
            foreign[at] |= 1 << (bucket // BUCKETS_PER_GROUP)
    return Census(tuple(foreign), len(located), foreign_count)


def draw_table(rng: Random, table: FilterTable) -> FilterTable:
    rules = (
        PortRule(80, 80, affinity=Affinity.NONE),
        PortRule(82, 82, affinity=rng.choice(tuple(Affinity))),
    )[: rng.randrange(3)]
    owners = (table.own, HostIndex(table.own + 1))
    drawn = (Buckets(bytes(rng.choices(owners, k=BUCKET_COUNT))) for _ in range(len(rules) + 1))
    return replace(table, rules=rules, buckets=tuple(drawn))


def test_the_census_counts_what_ss_shows(datapath: Datapath, own_everything: FilterTable) -> None:
    rng = Random(SEED)  # noqa: S311 - wanted: the same cases every time
    seen: list[Census] = []
    for _ in range(TABLE_COUNT):
        table = draw_table(rng, own_everything)
        datapath.install(table)
        seen.append(datapath.census())
        assert seen[-1] == counted_by_hand(table)
    assert {len(census.foreign) for census in seen} == {1, 2, 3}
    assert any(census.foreign_count > 1 for census in seen)
    assert len({census.connection_count for census in seen}) == 1
    assert seen[0].connection_count >= 15


def test_what_a_host_owns_is_not_foreign_and_listeners_are_no_connections(
    datapath: Datapath, own_everything: FilterTable
) -> None:
    datapath.install(own_everything)
    mine = datapath.census()
    assert mine == Census((0,), mine.connection_count, 0)
    assert mine.connection_count > 0
    datapath.install(replace(own_everything, own=HostIndex(1)))
    others = datapath.census()
    assert others.foreign_count == others.connection_count == mine.connection_count


def test_the_census_is_of_the_callers_namespace(
    datapath: Datapath, own_everything: FilterTable
) -> None:
    datapath.install(own_everything)
    name = f"wlbs-test-{os.getpid()}-empty"
    namespace.create(name)
    try:
        with namespace.entered(name):
            assert datapath.census() == Census((0,), 0, 0)
    finally:
        namespace.remove(name)
    assert datapath.census().connection_count > 0


def test_a_later_process_takes_the_census_of_what_is_pinned(
    datapath: Datapath, own_everything: FilterTable
) -> None:
    datapath.install(own_everything)
    before = datapath.census()
    datapath.close()
    later = Datapath.open(datapath.pins)
    assert later.census() == before
    later.close()
