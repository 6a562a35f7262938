# SPDX-License-Identifier: Apache-2.0
"""Liveness probes: asked of the silent, four a period, and answered once each."""

import pytest
from tests.core.protocol.said import NONCE, ONE, THREE, TWO, mac, ms, said

from wlbs.core.cluster import Cluster
from wlbs.core.probe import Answer, encode_answer, encode_request
from wlbs.core.protocol.effects import SendProbe
from wlbs.core.protocol.peers import Peers
from wlbs.core.protocol.probing import CHALLENGES_KEPT_MAX, Prober


@pytest.fixture
def peers(cluster: Cluster) -> Peers:
    """Return the peers of host 1, who begins at 0."""
    return Peers(cluster, ONE, ms(0))


@pytest.fixture
def prober(cluster: Cluster, peers: Peers) -> Prober:
    """Return the prober of host 1, whose challenges begin after its boot nonce."""
    return Prober(cluster, NONCE, peers, ms(0))


def answer(cluster: Cluster, challenge: int, *, lease_live: bool = True) -> bytes:
    return encode_answer(Answer(challenge, lease_live, NONCE), cluster.key)


def test_whoever_is_heard_is_not_asked(cluster: Cluster, peers: Peers, prober: Prober) -> None:
    for peer in peers:
        peers.hear(peer, mac(peer.index), said(cluster, peer.index), ms(100))
    assert prober.next_round(ms(200)) is None
    assert prober.ask(ms(200)) == ()


def test_the_silent_are_asked_at_their_dedicated_ip_four_times_a_period(
    cluster: Cluster, peers: Peers, prober: Prober
) -> None:
    three = peers.get(THREE)
    assert three is not None
    peers.hear(three, mac(THREE), said(cluster, THREE), ms(100))
    expected = SendProbe(cluster.host(TWO).dedicated_ip, encode_request(NONCE + 1))
    assert prober.ask(ms(150)) == (expected,)
    assert prober.ask(ms(174)) == ()
    assert prober.next_round(ms(174)) == ms(175)
    assert len(prober.ask(ms(175))) == 1


def test_an_answer_is_noted_with_what_it_says_of_the_lease(
    cluster: Cluster, peers: Peers, prober: Prober
) -> None:
    prober.ask(ms(150))
    two = peers.get(TWO)
    assert two is not None
    assert prober.answered(answer(cluster, NONCE + 1), ms(151))
    assert (two.answered_at, two.said_live_at) == (ms(151), ms(151))
    prober.ask(ms(175))
    assert prober.answered(answer(cluster, NONCE + 3, lease_live=False), ms(176))
    assert (two.answered_at, two.said_live_at) == (ms(176), None)


def test_an_answer_counts_once_and_only_if_it_is_one(cluster: Cluster, prober: Prober) -> None:
    prober.ask(ms(150))
    good = answer(cluster, NONCE + 1)
    assert not prober.answered(good[:-1] + bytes((good[-1] ^ 1,)), ms(151))
    assert not prober.answered(answer(cluster, NONCE + 9), ms(151))
    assert prober.answered(good, ms(151))
    assert not prober.answered(good, ms(152))


def test_the_challenges_that_may_be_answered_are_bounded(
    cluster: Cluster, peers: Peers, prober: Prober
) -> None:
    for at in range(CHALLENGES_KEPT_MAX // 2 + 1):
        now = ms(150 + 25 * at)
        for peer in peers:
            peer.answered_at = now  # or they would be gone, and nobody asked
        assert len(prober.ask(now)) == 2
    assert not prober.answered(answer(cluster, NONCE + 1), now)
    assert not prober.answered(answer(cluster, NONCE + 2), now)
    assert prober.answered(answer(cluster, NONCE + 3), now)
