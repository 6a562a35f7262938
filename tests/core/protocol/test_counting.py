# SPDX-License-Identifier: Apache-2.0
"""Censuses: asked when they matter, and believed only if they can know of what was let go."""

import pytest
from tests.core.protocol.said import ONE, THREE, TWO, ms

from wlbs.core.census import Census
from wlbs.core.cluster import TIMINGS, Cluster
from wlbs.core.protocol.counting import COOKIE_NS, Counting
from wlbs.core.protocol.effects import CountConnections
from wlbs.core.protocol.holdings import Holdings
from wlbs.core.protocol.shares import Shares

EMPTY = Census((0, 0, 0), 0, 0)
BUSY = Census((0b10, 0, 0), 5, 2)
ASKED = (CountConnections(),)


@pytest.fixture
def holdings(cluster: Cluster) -> Holdings:
    """Return the holdings of host 1 after a restart: it may have connections anywhere."""
    return Holdings(Shares(cluster), ONE, (TWO, THREE), is_fresh=False)


@pytest.fixture
def counting() -> Counting:
    """Return the counting of a member that began at 0."""
    return Counting(TIMINGS["default"], ms(0))


def test_it_asks_once_a_period_and_only_if_it_matters(
    counting: Counting, holdings: Holdings
) -> None:
    assert counting.ask(ms(150), matters=False) == ()
    assert counting.ask(ms(150), matters=True) == ASKED
    assert counting.ask(ms(260), matters=True) == ()
    counting.take(EMPTY, holdings, ms(260))
    assert counting.ask(ms(240), matters=True) == ()
    assert counting.ask(ms(250), matters=True) == ASKED


def test_a_census_says_what_is_left_and_how_many_there_are(
    counting: Counting, holdings: Holdings
) -> None:
    counting.ask(ms(1000), matters=True)
    counting.take(BUSY, holdings, ms(1001))
    assert counting.connection_count == 5
    assert holdings.foreign == (0b10, 0, 0)


def test_a_census_asked_before_the_last_let_go_is_ignored(
    counting: Counting, holdings: Holdings
) -> None:
    counting.ask(ms(1000), matters=True)
    counting.let_go(ms(1001))
    counting.take(EMPTY, holdings, ms(3000))
    assert counting.connection_count is None
    assert holdings.has_left


def test_a_census_is_ignored_while_a_syn_cookie_may_come_back(
    counting: Counting, holdings: Holdings
) -> None:
    """Half a connection that no socket has is in nobody's census."""
    counting.let_go(ms(500))
    counting.ask(ms(700), matters=True)
    counting.take(EMPTY, holdings, ms(500 + COOKIE_NS // 1_000_000 - 1))
    assert holdings.has_left
    counting.ask(ms(1500), matters=True)
    counting.take(EMPTY, holdings, ms(1500))
    assert not holdings.has_left


def test_a_census_that_nobody_asked_for_is_ignored(counting: Counting, holdings: Holdings) -> None:
    counting.take(EMPTY, holdings, ms(5000))
    assert holdings.has_left


def test_letting_go_makes_the_count_unknown(counting: Counting, holdings: Holdings) -> None:
    counting.ask(ms(1000), matters=True)
    counting.take(EMPTY, holdings, ms(1001))
    assert counting.connection_count == 0
    counting.let_go(ms(1002))
    assert counting.connection_count is None
