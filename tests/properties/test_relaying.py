# SPDX-License-Identifier: Apache-2.0
"""The law while one host receives for all: a frame is kept once, and every chain of relays ends.

A frame sent to the VMAC comes to the receiver alone and is followed from host to host, as a switch
delivers it. Once with tables on which hosts agree, then with every way in which three may disagree
and with drawn ones of more.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

from hypothesis import event, given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from tests.properties.test_one_owner import FIXED, clusters, frames, tables_of

from wlbs.core.address import IpAddress, Mac
from wlbs.core.buckets import BUCKET_COUNT, HashKey
from wlbs.core.claim import Claim
from wlbs.core.cluster import Cluster
from wlbs.core.filter import decide, rewrite
from wlbs.core.invariants import judge_owners
from wlbs.core.reason import Action, Reason
from wlbs.core.rules import HostIndex
from wlbs.core.table import NEXT_SHIFT, Buckets, FilterTable, Mark, Vip

VMAC: Final = Mac.parse("02:bf:0a:00:00:01")
TTL: Final = 64
SEGMENT: Final = bytes(
    Ether(dst=str(VMAC), src="52:00:00:00:00:99")
    / IP(src="192.0.2.77", dst="10.0.0.1", ttl=TTL)
    / TCP(sport=40000, dport=80, flags="A")
)
STATIONS: Final = tuple((HostIndex(at), Mac(bytes((2, 0, 0, 0, 0, at)))) for at in range(64))


@dataclass(frozen=True, slots=True)
class View:
    """What one host believes of the bucket: who receives, who owns it, who is asked next."""

    receiver: HostIndex | None
    owner: HostIndex
    following: HostIndex


@cache
def seen_by(own: HostIndex, view: View) -> FilterTable:
    """Return the table of a host with this view, by which every bucket is flagged."""
    octet = Mark.FLAGGED | view.following << NEXT_SHIFT
    buckets = Buckets(bytes((view.owner,)) * BUCKET_COUNT, bytes((octet,)) * BUCKET_COUNT)
    return FilterTable(
        own=own,
        vmac=VMAC,
        station_mac=STATIONS[own][1],
        masked_mac=STATIONS[own][1],
        key=HashKey(bytes(16)),
        vips=(Vip(IpAddress.parse("10.0.0.1"), own),),
        rules=(),
        buckets=(buckets,),
        receiver=view.receiver,
        station_macs=STATIONS,
    )


@cache
def passed_on(own: HostIndex, view: View, frame: bytes) -> bytes | None:
    """Return what a host with no socket for it sends on, if it does; it keeps no segment."""
    table = seen_by(own, view)
    verdict = decide(table, frame, claim=Claim.NONE, lease_live=True)
    if verdict.action is not Action.RELAY:
        return None
    return rewrite(table, frame, verdict, lease_live=True)


def relay_count(views: Sequence[View], first: int) -> int:
    """Return how often a segment is sent on that nobody claims, from this host on."""
    frame, at = SEGMENT, first
    for count in range(TTL + 1):
        sent = passed_on(HostIndex(at), views[at], frame)
        if sent is None:
            return count
        frame, at = sent, sent[5]
    message = f"round for ever: {views}, from {first}"
    raise AssertionError(message)


def all_views(host_count: int) -> Iterable[View]:
    """Return every view that a host may have."""
    hosts = tuple(map(HostIndex, range(host_count)))
    return itertools.starmap(View, itertools.product((None, *hosts), hosts, hosts))


def test_three_hosts_that_disagree_send_a_segment_on_three_times_at_most() -> None:
    """Twice where they agree at least on who receives; the client has sent it once."""
    most, most_agreed = 0, 0
    for views in itertools.product(tuple(all_views(3)), repeat=3):
        for first in range(3):
            count = relay_count(views, first)
            most = max(most, count)
            if len({view.receiver for view in views}) == 1:
                most_agreed = max(most_agreed, count)
    assert (most, most_agreed) == (3, 2)


HOST: Final = st.integers(0, 5).map(HostIndex)
VIEW: Final = st.builds(View, st.one_of(st.none(), HOST), HOST, HOST)


@settings(FIXED, max_examples=500)
@given(views=st.lists(VIEW, min_size=6, max_size=6), first=st.integers(0, 5))
def test_every_chain_of_relays_ends(views: list[View], first: int) -> None:
    count = relay_count(views, first)
    event(f"sent on {count} times")
    assert count <= TTL


def test_hosts_that_send_a_segment_round_stop_when_its_time_to_live_is_over() -> None:
    """Four tables that no index stops: the third takes itself for the owner, its sender's heir."""
    hosts = tuple(map(HostIndex, range(4)))
    zero, one, two, three = hosts
    views = (
        View(zero, one, zero),
        View(zero, three, two),
        View(zero, one, three),
        View(two, three, one),
    )
    assert relay_count(views, zero) == TTL


def receiving(tables: Iterable[FilterTable], receiver: HostIndex) -> list[FilterTable]:
    """Return the tables while a host receives for all."""
    tables = list(tables)
    stations = tuple((table.own, table.masked_mac) for table in tables)
    return [replace(table, receiver=receiver, station_macs=stations) for table in tables]


@FIXED
@given(cluster=clusters(), data=st.data())
def test_exactly_one_host_keeps_each_new_flow_that_one_receives(
    cluster: Cluster, data: st.DataObject
) -> None:
    indices = sorted(host.index for host in cluster.hosts)
    receiver = data.draw(st.sampled_from(indices))
    tables = receiving(tables_of(cluster, set()), receiver)
    by_index = {table.own: table for table in tables}
    for frame in data.draw(st.lists(frames(), min_size=1, max_size=8)):
        assert judge_owners(tables, frame) == ()
        first = decide(by_index[receiver], frame, claim=Claim.NONE, lease_live=True)
        event(first.reason.name)
        assert first.reason is not Reason.NOT_OWNER
        if first.relay_to is not None:
            relayed = rewrite(by_index[receiver], frame, first, lease_live=True)
            assert relayed[:6] == by_index[first.relay_to].station_mac.octets


@FIXED
@given(
    holders=st.sets(HOST, min_size=1),
    owner=HOST,
    receiver=HOST,
    keeper=HOST,
)
def test_the_one_whose_socket_it_is_gets_a_segment_of_a_flagged_bucket(
    holders: set[HostIndex], owner: HostIndex, receiver: HostIndex, keeper: HostIndex
) -> None:
    """Whoever may have the connection is asked, each once, whatever the order of the indices."""
    others = sorted(holders - {owner, receiver})
    asked = [each for each in (receiver, owner, *others) if each in {*others, owner, receiver}]
    expected = list(dict.fromkeys(asked))
    seen = []
    at, frame = receiver, SEGMENT
    while at not in seen:
        seen.append(at)
        later = others if at == owner else [each for each in others if each > at]
        view = View(receiver, owner, later[0] if later else at)
        table = seen_by(at, view)
        claim = Claim.SOCKET if at == keeper else Claim.NONE
        verdict = decide(table, frame, claim=claim, lease_live=True)
        if verdict.relay_to is None:
            break
        at, frame = verdict.relay_to, rewrite(table, frame, verdict, lease_live=True)
    assert seen == expected[: expected.index(keeper) + 1] if keeper in expected else expected
    assert (verdict.reason is Reason.CLAIMED) == (keeper in expected)
