# SPDX-License-Identifier: Apache-2.0
"""Hearing: every heartbeat is acted on, or refused by name, counted, and told once a minute."""

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
    stopped,
)

from wlbs.core.address import Mac
from wlbs.core.cluster import Cluster
from wlbs.core.protocol.effects import ReportRefusal, State
from wlbs.core.protocol.events import Instant
from wlbs.core.protocol.hearing import REPORTED_MAX, Hearing
from wlbs.core.protocol.lease import Lease
from wlbs.core.protocol.peers import Peer, Peers
from wlbs.core.protocol.refusal import Refusal
from wlbs.core.protocol.wire import Heartbeat, encode
from wlbs.core.rules import HostIndex

STRANGER = Mac.parse("52:00:00:00:00:99")


class Ears:
    """The ears of host 1, whose boot nonce is NONCE."""

    def __init__(self, cluster: Cluster) -> None:
        """Have heard nothing."""
        self.cluster = cluster
        self.peers = Peers(cluster, ONE, ms(0))
        self.lease = Lease(cluster.timing, ms(0))
        self.hearing = Hearing(cluster, ONE, NONCE, self.peers, self.lease)
        self.two, self.three = self.peers

    def hear(
        self, heartbeat: Heartbeat, now: Instant, source: Mac | None = None
    ) -> tuple[Heartbeat | None, tuple[ReportRefusal, ...]]:
        """Hear what a host says, from its own MAC unless another is given."""
        data = encode(heartbeat, self.cluster)
        return self.hearing.hear(source or mac(heartbeat.host), data, now)

    def accepts(self, heartbeat: Heartbeat, now: Instant, source: Mac | None = None) -> bool:
        """Whether it is acted on."""
        return self.hear(heartbeat, now, source)[0] is not None


@pytest.fixture
def ears(cluster: Cluster) -> Ears:
    """Return the ears of host 1."""
    return Ears(cluster)


def reborn(heartbeat: Heartbeat, by: int) -> Heartbeat:
    return dataclasses.replace(heartbeat, boot_nonce=NONCE + by, sequence=1)


def test_a_peer_is_heard(cluster: Cluster, ears: Ears) -> None:
    heartbeat = said(cluster, TWO, 5)
    assert ears.hear(heartbeat, ms(1)) == (heartbeat, ())
    assert (ears.two.heard_at, ears.two.source, ears.two.report) == (ms(1), mac(TWO), heartbeat)
    assert not ears.hearing.counts


def test_what_cannot_be_read_is_refused_by_its_source(ears: Ears) -> None:
    refused = ears.hearing.hear(STRANGER, b"noise", ms(1))
    report = ReportRefusal(Refusal.NOT_OURS, f"somebody at {STRANGER}")
    assert refused == (None, (report,))
    assert ears.hearing.counts == {Refusal.NOT_OURS: 1}


def test_what_goes_on_is_counted_each_time_and_told_once_a_minute(ears: Ears) -> None:
    told = [bool(ears.hearing.hear(STRANGER, b"noise", ms(at * 100))[1]) for at in range(601)]
    assert [at for at, is_told in enumerate(told) if is_told] == [0, 600]
    assert ears.hearing.counts[Refusal.NOT_OURS] == 601


def test_the_memory_of_what_was_told_is_bounded(ears: Ears) -> None:
    """Whoever invents sources only makes reports come again."""
    for at in range(REPORTED_MAX):
        ears.hearing.refuse(Refusal.FORGED, str(at), ms(0))
    assert ears.hearing.refuse(Refusal.FORGED, "0", ms(0)) == ()
    ears.hearing.refuse(Refusal.FORGED, "one more", ms(0))
    assert len(ears.hearing.refuse(Refusal.FORGED, "0", ms(0))) == 1


def test_a_host_the_configuration_lacks_is_unknown(cluster: Cluster, ears: Ears) -> None:
    heartbeat = dataclasses.replace(said(cluster, TWO), host=HostIndex(8))
    assert ears.hear(heartbeat, ms(1)) == (
        None,
        (ReportRefusal(Refusal.UNKNOWN_HOST, f"host 9 at {mac(HostIndex(8))}"),),
    )


def test_the_same_or_an_earlier_sequence_is_a_replay(cluster: Cluster, ears: Ears) -> None:
    assert ears.accepts(said(cluster, TWO, 5), ms(1))
    report = ReportRefusal(Refusal.REPLAYED, f"host 2 at {mac(TWO)}")
    assert ears.hear(said(cluster, TWO, 5), ms(2)) == (None, (report,))
    assert ears.hear(said(cluster, TWO, 4), ms(2)) == (None, ())
    assert ears.hearing.counts == {Refusal.REPLAYED: 2}
    assert ears.accepts(said(cluster, TWO, 6), ms(3))


def test_a_later_life_is_accepted_and_an_earlier_one_is_a_replay(
    cluster: Cluster, ears: Ears
) -> None:
    assert ears.accepts(said(cluster, TWO, 5), ms(1))
    assert ears.accepts(reborn(said(cluster, TWO), 1), ms(2))
    assert not ears.accepts(said(cluster, TWO, 6), ms(3))
    assert ears.hearing.counts == {Refusal.REPLAYED: 1}


def test_a_host_whose_clock_was_set_back_returns_once_it_is_gone_and_echoes_us(
    cluster: Cluster, ears: Ears
) -> None:
    ears.lease.send(70, ms(3900))
    back = reborn(said(cluster, TWO), -1)
    proven = dataclasses.replace(back, sequence=2, echoes=(echo(ONE, 70),))
    assert ears.accepts(said(cluster, TWO, 5), ms(1))
    assert not ears.accepts(proven, ms(2000)), "not gone yet"
    assert not ears.accepts(back, ms(4000)), "a recording could say as much"
    assert ears.accepts(proven, ms(4000))
    assert ears.two.echoed == 70


def test_a_host_whose_clock_was_set_back_returns_at_once_if_its_data_path_says_the_same(
    cluster: Cluster, ears: Ears
) -> None:
    ears.lease.send(70, ms(900))
    back = dataclasses.replace(reborn(said(cluster, TWO), -1), echoes=(echo(ONE, 70),))
    assert ears.accepts(said(cluster, TWO, 5), ms(1))
    ears.two.answered_nonce = NONCE
    assert not ears.accepts(back, ms(1000))
    ears.two.answered_nonce = NONCE - 1
    assert not ears.accepts(dataclasses.replace(back, echoes=()), ms(1000))
    assert ears.accepts(back, ms(1000))


def test_a_host_whose_clock_was_set_back_returns_once_another_peer_has_heard_it(
    cluster: Cluster, ears: Ears
) -> None:
    """Else each would wait for the other to stop vouching for the life they both remember."""
    ears.lease.send(70, ms(900))
    back = dataclasses.replace(reborn(said(cluster, TWO), -1), echoes=(echo(ONE, 70),))
    assert ears.accepts(said(cluster, TWO, 5), ms(1))
    assert not ears.accepts(back, ms(1000))
    vouching = dataclasses.replace(said(cluster, THREE), echoes=(echo(TWO, 1, NONCE - 1),))
    assert ears.accepts(vouching, ms(1000))
    assert ears.accepts(back, ms(1001))


def test_a_second_host_with_a_peers_priority_is_refused_while_the_first_is_heard(
    cluster: Cluster, ears: Ears
) -> None:
    assert ears.accepts(said(cluster, TWO, 5), ms(1))
    heartbeat, (report,) = ears.hear(reborn(said(cluster, TWO), 1), ms(2), STRANGER)
    assert heartbeat is None
    assert report == ReportRefusal(Refusal.DUPLICATE_PRIORITY, f"host 2 at {STRANGER}")
    assert ears.accepts(reborn(said(cluster, TWO), 1), ms(301), STRANGER)


def test_a_host_may_move_to_another_interface_once_it_has_stopped(
    cluster: Cluster, ears: Ears
) -> None:
    assert ears.accepts(stopped(cluster, TWO, 5), ms(1))
    assert ears.accepts(reborn(said(cluster, TWO), 1), ms(2), STRANGER)


def test_our_own_heartbeat_come_back_is_no_rival(cluster: Cluster, ears: Ears) -> None:
    assert ears.hear(said(cluster, ONE, 5), ms(1), mac(ONE)) == (None, ())
    assert ears.hearing.rival is None
    assert not ears.hearing.counts


@pytest.mark.parametrize(
    ("rival_state", "rival_age", "takes_part", "yields"),
    [
        (State.CONVERGED, 1, False, True),
        (State.CONVERGED, 1, True, False),
        (State.CONVERGED, -1, True, True),
        (State.JOINING, -1, True, False),
        (State.JOINING, -1, False, True),
        (State.JOINING, 1, False, False),
    ],
)
def test_of_two_with_one_priority_who_takes_part_goes_first_then_who_began_earlier(
    cluster: Cluster, rival_state: State, rival_age: int, *, takes_part: bool, yields: bool
) -> None:
    ears = Ears(cluster)
    rival = dataclasses.replace(reborn(said(cluster, ONE), rival_age), state=rival_state)
    assert not ears.hearing.yields_to_rival(ms(0), takes_part=takes_part)
    heartbeat, (report,) = ears.hear(rival, ms(1), STRANGER)
    assert heartbeat is None
    assert report.refusal is Refusal.DUPLICATE_PRIORITY
    assert ears.hearing.rival_source == STRANGER
    assert ears.hearing.yields_to_rival(ms(300), takes_part=takes_part) is yields
    assert not ears.hearing.yields_to_rival(ms(301), takes_part=takes_part)


def test_another_configuration_is_told_and_heard(cluster: Cluster, ears: Ears) -> None:
    heartbeat, (report,) = ears.hear(odd(cluster, TWO), ms(1))
    assert heartbeat is not None
    assert report == ReportRefusal(Refusal.DIFFERENT_CONFIGURATION, f"host 2 at {mac(TWO)}")


def test_a_deaf_host_is_told_if_it_takes_part(cluster: Cluster, ears: Ears) -> None:
    joining = dataclasses.replace(deaf(cluster, THREE, 9), state=State.JOINING, target=0)
    for at in range(0, 500, 100):
        ears.hear(deaf(cluster, TWO, at + 1), ms(at))
        ears.hear(dataclasses.replace(joining, sequence=at + 1), ms(at))
    assert ears.hearing.counts == {Refusal.DEAF: 2}


def echoing(cluster: Cluster, sequence: int, echoed: int, nonce: int = NONCE) -> Heartbeat:
    return dataclasses.replace(said(cluster, TWO, sequence), echoes=(echo(ONE, echoed, nonce),))


def test_the_latest_echo_of_ours_is_remembered_with_its_sending(
    cluster: Cluster, ears: Ears
) -> None:
    def known(peer: Peer) -> tuple[int, Instant | None]:
        return peer.echoed, peer.echoed_sent_at

    for sequence in (70, 71, 72):
        ears.lease.send(sequence, ms(sequence))
    ears.hear(echoing(cluster, 1, 71), ms(80))
    assert known(ears.two) == (71, ms(71))
    ears.hear(echoing(cluster, 2, 70), ms(81))
    assert known(ears.two) == (71, ms(71))
    ears.hear(echoing(cluster, 3, 72, NONCE + 1), ms(82))
    assert known(ears.two) == (71, ms(71)), "an echo of another life"
    ears.hear(echoing(cluster, 4, 500), ms(83))
    assert known(ears.two) == (71, ms(71)), "an echo of what was never said"
    ears.hear(deaf(cluster, TWO, 5), ms(84))
    assert known(ears.two) == (71, ms(71))
    ears.hear(echoing(cluster, 6, 72), ms(85))
    assert known(ears.two) == (72, ms(72))
