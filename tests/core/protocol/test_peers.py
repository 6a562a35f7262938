# SPDX-License-Identifier: Apache-2.0
"""Peers: who is heard, who counts, who is deaf, odd or gone, and when silence will tell."""

import dataclasses

import pytest
from tests.core.protocol.said import (
    NONCE,
    ONE,
    THREE,
    TWO,
    deaf,
    echo,
    mac,
    ms,
    odd,
    said,
)

from wlbs.core.cluster import Cluster
from wlbs.core.protocol.effects import State
from wlbs.core.protocol.events import Instant
from wlbs.core.protocol.peers import Peer, Peers, echo_matches, is_later
from wlbs.core.protocol.wire import Heartbeat
from wlbs.core.rules import HostIndex


class View:
    """What host 1 knows of hosts 2 and 3, since 0."""

    def __init__(self, cluster: Cluster) -> None:
        """Know nobody."""
        self.cluster = cluster
        self.peers = Peers(cluster, ONE, ms(0))
        self.two, self.three = self.peers

    def hear(self, heartbeat: Heartbeat, now: Instant) -> Peer:
        """Hear a heartbeat."""
        peer = self.peers.get(heartbeat.host)
        assert peer is not None
        self.peers.hear(peer, mac(peer.index), heartbeat, now)
        return peer

    def counted(self, now: Instant) -> list[int]:
        """Return the priorities of those that count."""
        return [peer.index + 1 for peer in self.peers.counted(now)]


def alone(cluster: Cluster, host: HostIndex) -> Heartbeat:
    """Return a heartbeat of a host that hears this one and nobody else."""
    return dataclasses.replace(said(cluster, host), echoes=(echo(ONE, 1),))


@pytest.fixture
def view(cluster: Cluster) -> View:
    """Return the view of host 1, who has just begun."""
    return View(cluster)


def test_the_peers_are_the_other_hosts_by_priority(view: View) -> None:
    assert [peer.index for peer in view.peers] == [TWO, THREE]
    assert view.peers.get(ONE) is None


def test_a_peer_that_was_never_heard_is_and_says_nothing(view: View) -> None:
    assert not view.peers.is_heard(view.two, ms(0))
    assert (view.two.news, view.two.target, view.two.takes_part) == (None, 0, False)
    assert not view.two.is_stopped
    assert not view.two.has_nothing
    assert not view.peers.is_odd(view.two)
    assert view.counted(ms(0)) == []


def test_a_heard_peer_counts_for_one_detection_time(cluster: Cluster, view: View) -> None:
    view.hear(alone(cluster, TWO), ms(100))
    assert view.counted(ms(399)) == [2]
    assert view.counted(ms(400)) == []
    assert view.two.news == (NONCE, State.CONVERGED, 0b111)
    assert (view.two.target, view.two.takes_part) == (0b111, True)


def test_what_a_stale_peer_last_said_is_no_claim(cluster: Cluster, view: View) -> None:
    view.hear(said(cluster, TWO), ms(100))
    view.two.is_stale = True
    assert (view.two.target, view.two.takes_part) == (0, False)
    view.hear(said(cluster, TWO, 2), ms(900))
    assert (view.two.target, view.two.takes_part) == (0b111, True)


def test_a_goodbye_ends_counting_at_once(cluster: Cluster, view: View) -> None:
    view.hear(dataclasses.replace(alone(cluster, TWO), state=State.STOPPED), ms(100))
    assert view.two.is_stopped
    assert view.counted(ms(100)) == []
    assert view.peers.is_gone(view.two, ms(100))


def test_whoever_has_no_connection_and_no_target_has_nothing(cluster: Cluster, view: View) -> None:
    joining = dataclasses.replace(said(cluster, TWO), state=State.JOINING, target=0)
    assert view.hear(joining, ms(1)).has_nothing
    assert not view.hear(dataclasses.replace(joining, foreign=(0, 0, 1)), ms(1)).has_nothing
    assert not view.hear(said(cluster, TWO), ms(1)).has_nothing


def test_a_peer_counts_while_another_says_it_hears_it(cluster: Cluster, view: View) -> None:
    view.hear(said(cluster, TWO, 1), ms(0))
    for at in range(100, 1000, 100):
        fresh = dataclasses.replace(said(cluster, THREE, at), echoes=(echo(TWO, at),))
        view.hear(fresh, ms(at))
    assert view.counted(ms(1000)) == [2, 3]
    assert view.counted(ms(1200)) == []


def test_an_old_echo_vouches_for_nothing(cluster: Cluster, view: View) -> None:
    view.hear(said(cluster, TWO, 5), ms(0))
    for at in range(100, 400, 100):
        old = dataclasses.replace(said(cluster, THREE, at), echoes=(echo(TWO, 5),))
        view.hear(old, ms(at))
    assert view.counted(ms(310)) == [3]


def test_an_echo_of_another_life_is_news(cluster: Cluster, view: View) -> None:
    view.hear(said(cluster, TWO, 5), ms(0))
    other = dataclasses.replace(said(cluster, THREE), echoes=(echo(TWO, 1, NONCE + 1),))
    view.hear(other, ms(200))
    assert view.counted(ms(350)) == [2, 3]


def test_echoes_of_oneself_and_of_strangers_vouch_for_nobody(cluster: Cluster, view: View) -> None:
    strange = dataclasses.replace(said(cluster, TWO), echoes=(echo(ONE, 1), echo(HostIndex(63), 1)))
    view.hear(strange, ms(0))
    assert view.three.vouched_at is None


def test_a_peer_counts_while_its_data_path_says_it_is_live(cluster: Cluster, view: View) -> None:
    view.hear(said(cluster, TWO), ms(0))
    view.two.answered_at = view.two.said_live_at = ms(290)
    assert view.counted(ms(589)) == [2]
    assert view.counted(ms(590)) == []


def test_without_a_lease_it_counts_no_more_if_anybody_else_is_heard(
    cluster: Cluster, view: View
) -> None:
    view.hear(said(cluster, TWO), ms(0))
    view.hear(said(cluster, THREE), ms(290))
    view.two.answered_at = ms(299)
    assert view.counted(ms(300)) == [3]


def test_a_peer_that_was_given_up_does_not_come_back_by_answering(
    cluster: Cluster, view: View
) -> None:
    """Host 2 stalled and lost its share; when host 3 falls silent too, nobody is waited for."""
    view.hear(said(cluster, TWO), ms(0))
    view.hear(said(cluster, THREE), ms(290))
    view.two.answered_at = ms(299)
    assert view.counted(ms(300)) == [3]
    view.two.is_stale = True
    view.two.answered_at = ms(599)
    assert view.counted(ms(600)) == []


def test_whoever_hears_nobody_waits_for_its_rank_of_those_that_answer(cluster: Cluster) -> None:
    """It may be deaf itself: the one that hears it serves after three detection times."""
    for own, others, ends_ms in ((ONE, (TWO, THREE), 1200), (THREE, (ONE, TWO), 1800)):
        peers = Peers(cluster, own, ms(0))
        for index in others:
            peer = peers.get(index)
            assert peer is not None
            peers.hear(peer, mac(index), said(cluster, index), ms(0))
        for at in (ends_ms - 1, ends_ms):
            for peer in peers:
                peer.answered_at = ms(at)
            assert bool(peers.counted(ms(at))) == (at < ends_ms), (own, at)


def test_a_peer_that_hears_nobody_is_deaf_after_a_detection_time_and_out_after_two(
    cluster: Cluster, view: View
) -> None:
    for at in range(0, 700, 50):
        view.hear(deaf(cluster, TWO, at), ms(at))
        assert view.peers.is_deaf(view.two, ms(at)) == (at >= 300)
        assert bool(view.peers.echoed(ms(at))) == (at < 300)
        assert view.counted(ms(at)) == ([2] if at < 600 else [])
    view.hear(said(cluster, TWO, 700), ms(700))
    assert not view.peers.is_deaf(view.two, ms(700))


def test_silence_is_not_deafness(cluster: Cluster, view: View) -> None:
    """What it said before it fell silent does not count against it."""
    view.hear(deaf(cluster, TWO, 1), ms(0))
    view.hear(deaf(cluster, TWO, 2), ms(900))
    assert not view.peers.is_deaf(view.two, ms(1100))


def test_another_configuration_neither_counts_nor_is_echoed(cluster: Cluster, view: View) -> None:
    view.hear(odd(cluster, TWO), ms(0))
    view.hear(said(cluster, THREE), ms(0))
    assert view.peers.is_odd(view.two)
    assert view.counted(ms(1)) == [3]
    assert [each.host for each in view.peers.echoed(ms(1))] == [THREE]


def test_the_larger_group_of_one_configuration_goes_first(cluster: Cluster, view: View) -> None:
    assert view.peers.better_configured(ONE, ms(0)) == frozenset()
    view.hear(odd(cluster, TWO), ms(0))
    assert view.peers.better_configured(ONE, ms(0)) == frozenset()
    view.hear(odd(cluster, THREE), ms(0))
    assert view.peers.better_configured(ONE, ms(0)) == {TWO, THREE}
    assert view.peers.better_configured(ONE, ms(300)) == frozenset()
    view.hear(dataclasses.replace(odd(cluster, THREE), state=State.STOPPED), ms(0))
    assert view.peers.better_configured(ONE, ms(0)) == frozenset()


def test_of_two_groups_alike_the_highest_priority_decides(cluster: Cluster) -> None:
    peers = Peers(cluster, TWO, ms(0))
    one = peers.get(ONE)
    assert one is not None
    peers.hear(one, mac(ONE), odd(cluster, ONE), ms(0))
    assert peers.better_configured(TWO, ms(0)) == {ONE}


def test_a_reborn_peer_has_echoed_nothing_yet(cluster: Cluster, view: View) -> None:
    view.hear(said(cluster, TWO), ms(0))
    view.two.echoed, view.two.echoed_sent_at = 5, ms(0)
    view.hear(said(cluster, TWO, 2), ms(1))
    assert view.two.echoed == 5
    view.hear(dataclasses.replace(said(cluster, TWO), boot_nonce=NONCE + 1), ms(2))
    assert view.two.echoed == 0
    assert view.two.echoed_sent_at is None


def test_a_peer_is_gone_when_nothing_of_it_answers_for_three_seconds(
    cluster: Cluster, view: View
) -> None:
    view.hear(said(cluster, TWO), ms(0))
    assert not view.peers.is_gone(view.two, ms(2999))
    assert view.peers.is_gone(view.two, ms(3000))
    view.two.answered_at = ms(2000)
    assert not view.peers.is_gone(view.two, ms(4999))
    view.two.vouched_at = ms(2500)
    assert not view.peers.is_gone(view.two, ms(5499))
    assert view.peers.is_gone(view.two, ms(5500))


def test_the_silent_are_suspect_and_probed_until_they_are_gone(
    cluster: Cluster, view: View
) -> None:
    view.hear(said(cluster, TWO), ms(0))
    view.hear(said(cluster, THREE), ms(100))
    assert view.peers.suspects(ms(149)) == frozenset()
    assert view.peers.suspects(ms(150)) == {TWO}
    assert view.peers.to_probe(ms(150)) == (view.two,)
    assert view.peers.to_probe(ms(3050)) == (view.three,)


def test_ones_own_lateness_is_not_held_against_others(cluster: Cluster, view: View) -> None:
    """Lifeguard (2018): the time in which one could not hear counts as nobody's silence."""
    view.hear(said(cluster, TWO), ms(0))
    view.hear(said(cluster, THREE), ms(900))
    view.peers.forgive(ms(800), ms(1000))
    assert view.counted(ms(1000)) == [2, 3]
    assert view.counted(ms(1100)) == [3]
    assert view.counted(ms(1300)) == []


def test_the_deadlines_are_all_moments_at_which_silence_tells(cluster: Cluster, view: View) -> None:
    view.hear(said(cluster, TWO), ms(100))
    view.two.vouched_at, view.two.answered_at = ms(200), ms(300)
    of_two = {ms(at) for at in (250, 400, 500, 600, 3100, 3200, 3300)}
    of_three = {ms(at) for at in (150, 300, 3000)}
    assert set(view.peers.deadlines(ms(0))) == of_two | of_three
    assert set(view.peers.deadlines(ms(3150))) == {ms(3200), ms(3300)}


def test_sequences_wrap_around() -> None:
    assert is_later(5, than=4)
    assert not is_later(4, than=4)
    assert is_later(0, than=0xFFFFFFFF)
    assert not is_later(0xFFFFFFFF, than=0)


def test_an_echo_is_matched_by_the_low_bits_of_the_nonce() -> None:
    assert echo_matches(NONCE, NONCE & 0xFFFFFFFF)
    assert not echo_matches(NONCE, (NONCE + 1) & 0xFFFFFFFF)


@pytest.mark.parametrize(
    ("state", "serves"),
    [
        (State.STOPPED, False),
        (State.JOINING, False),
        (State.CONVERGING, True),
        (State.CONVERGED, True),
        (State.DRAINING, True),
    ],
)
def test_who_takes_part_or_finishes_what_it_has_serves(
    cluster: Cluster, state: State, *, serves: bool
) -> None:
    report = dataclasses.replace(said(cluster, TWO), state=state)
    assert Peer(TWO, ms(0), report=report).serves is serves
    assert not Peer(TWO, ms(0), report=report, is_stale=True).serves
    assert not Peer(TWO, ms(0)).serves
