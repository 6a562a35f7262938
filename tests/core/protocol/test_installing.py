# SPDX-License-Identifier: Apache-2.0
"""A table is made when something in it has changed, and says how frames come."""

import dataclasses

import pytest
from tests.core.protocol.said import NONCE, ONE, THREE, TWO, mac, ms, said

from wlbs.core.cluster import Cluster
from wlbs.core.protocol.events import Instant
from wlbs.core.protocol.holdings import Holdings
from wlbs.core.protocol.installing import Present, Tables, Way, way_of
from wlbs.core.protocol.peers import Peer, Peers
from wlbs.core.protocol.relaying import Relays
from wlbs.core.protocol.shares import Shares
from wlbs.core.protocol.speaking import Incarnation
from wlbs.core.protocol.wire import Relaying
from wlbs.core.table import FilterTable

ALL = Present(frozenset({ONE, TWO, THREE}), is_stopped=False)
FLOODED: Way = (None, ())
SOON = ms(1)


class Maker:
    """The tables of host 2, and what they are made of."""

    def __init__(self, cluster: Cluster) -> None:
        """Hold nothing; nobody has connections anywhere."""
        shares = Shares(cluster)
        self.cluster = cluster
        self.peers = Peers(cluster, TWO, ms(0))
        self.holdings = Holdings(shares, TWO, (ONE, THREE), is_fresh=True)
        self.shares = shares
        self.tables = Tables(cluster, TWO, Incarnation(mac(TWO), NONCE), shares)

    def made(
        self, present: Present = ALL, way: Way = FLOODED, now: Instant = SOON
    ) -> FilterTable | None:
        """Return the table that is installed now, if any is."""
        installs = self.tables.settle(present, self.holdings, self.peers, way, now)
        return installs[0].table if installs else None


@pytest.fixture
def maker(cluster: Cluster) -> Maker:
    """Return the tables of host 2."""
    return Maker(cluster)


def test_the_first_table_is_of_a_host_that_takes_no_part(maker: Maker) -> None:
    table = maker.tables.first(maker.holdings, maker.peers, ms(0))
    assert table.is_stopped
    assert (table.own, table.boot_nonce, table.station_mac) == (TWO, NONCE, mac(TWO))
    assert {vip.resolver for vip in table.vips} == {TWO}


def test_what_has_not_changed_is_not_installed_again(maker: Maker) -> None:
    table = maker.made()
    assert table is not None
    assert not table.is_stopped
    assert maker.made() is None


def test_who_takes_part_what_is_held_and_how_frames_come_make_another(maker: Maker) -> None:
    maker.made()
    assert maker.made(dataclasses.replace(ALL, is_stopped=True))
    assert maker.made(Present(frozenset({TWO}), is_stopped=False))
    maker.holdings.settle(maker.shares.due(0b010, TWO), maker.shares.none, acknowledged=True)
    assert maker.made(Present(frozenset({TWO}), is_stopped=False))
    relayed = maker.made(Present(frozenset({TWO}), is_stopped=False), (TWO, ((ONE, mac(ONE)),)))
    assert relayed is not None
    assert (relayed.receiver, relayed.station_macs) == (TWO, ((ONE, mac(ONE)),))


def test_when_the_resolver_is_silent_everybody_answers(maker: Maker) -> None:
    maker.made()
    table = maker.made(now=ms(200))
    assert table is not None
    assert all(vip.everyone_answers for vip in table.vips if vip.resolver != TWO)


def test_only_while_frames_are_relayed_it_matters_whose_connections_are_where(
    maker: Maker,
) -> None:
    """Who is asked after whom for a flagged bucket is in the table then."""
    maker.holdings.settle(maker.shares.due(0b111, TWO), maker.shares.none, acknowledged=True)
    maker.made()
    maker.holdings.forget(ONE)
    assert maker.made() is None, "host 3 may have connections everywhere, as before"
    way: Way = (TWO, ((ONE, mac(ONE)), (THREE, mac(THREE))))
    maker.made(way=way)
    maker.holdings.suspect(ONE)
    assert maker.made(way=way)


def test_on_a_segment_that_floods_nobody_is_relayed_to(cluster: Cluster) -> None:
    one = Peer(ONE, ms(0), source=mac(ONE), report=said(cluster, ONE))
    assert way_of(Relays(TWO), [one]) == FLOODED


def test_a_receiver_relays_to_those_that_follow_and_of_whom_it_has_an_address(
    cluster: Cluster,
) -> None:
    relays = Relays(TWO)
    relays.settle(TWO, [], 7, ms(0))
    follows = dataclasses.replace(said(cluster, ONE), relaying=Relaying(0, TWO, 7))
    one = Peer(ONE, ms(0), source=mac(ONE), report=follows)
    unknown = Peer(THREE, ms(0), report=dataclasses.replace(follows, host=THREE))
    relays.settle(TWO, [one, unknown], 8, ms(0))
    assert way_of(relays, [one, unknown]) == (TWO, ((ONE, mac(ONE)),))


@pytest.mark.parametrize("mode", ["stealth", "unicast"])
def test_in_mode_unicast_a_host_is_known_by_its_masked_address(cluster: Cluster, mode: str) -> None:
    table = Maker(dataclasses.replace(cluster, mode=type(cluster.mode)(mode))).made()
    assert table is not None
    expected = {"stealth": (mac(TWO), mac(TWO)), "unicast": (table.vmac, table.masked_mac)}
    assert (table.station_mac, table.masked_mac) == expected[mode]
    assert table.masked_mac != table.vmac
