# SPDX-License-Identifier: Apache-2.0
"""The cadence of heartbeats: every period, sooner for news, never closer than the spacing."""

import dataclasses

import pytest
from tests.core.protocol.said import NONCE, ONE, TWO, echo, mac, ms, said

from wlbs.core.cluster import TIMINGS, Cluster, Host
from wlbs.core.protocol.effects import State
from wlbs.core.protocol.events import Instant
from wlbs.core.protocol.lease import Lease
from wlbs.core.protocol.peers import Peers
from wlbs.core.protocol.speaking import SPACING_DIVISOR, Said, Speaker
from wlbs.core.protocol.wire import NO_DELIVERY, NO_RELAYING, Heartbeat, decode

BEGINNING = ms(5000)


class Voice:
    """A speaker of host 1 with what it needs."""

    def __init__(self, cluster: Cluster) -> None:
        """Have said nothing."""
        self.cluster = cluster
        self.peers = Peers(cluster, ONE, BEGINNING)
        self.lease = Lease(cluster.timing, BEGINNING)
        self.speaker = Speaker(cluster, ONE, NONCE, self.lease, BEGINNING)

    def speak(self, now: Instant, state: State = State.CONVERGED) -> Heartbeat | None:
        """Return what is said now, if anything is due."""
        if not self.speaker.is_due(state, now):
            return None
        what = Said(state, 0b111, (1, 2, 3), NO_DELIVERY, NO_RELAYING)
        sent = self.speaker.speak(what, self.peers, now)
        return decode(sent[0].data, self.cluster)


@pytest.mark.parametrize(("host_count", "spacing_ms"), [(1, 2), (2, 2), (16, 16), (64, 64)])
def test_the_more_hosts_the_wider_the_spacing(
    cluster: Cluster, host_count: int, spacing_ms: int
) -> None:
    """Nobody is to hear more than a thousand urgent heartbeats in a second."""
    hosts = tuple(Host(n, f"h{n}", cluster.hosts[0].dedicated_ip) for n in range(1, host_count + 1))
    voice = Voice(dataclasses.replace(cluster, hosts=hosts))
    voice.speaker.hurry()
    assert voice.speaker.next_at(State.CONVERGED) == BEGINNING + ms(spacing_ms)


@pytest.fixture
def voice(cluster: Cluster) -> Voice:
    """Return a voice under the default profile."""
    return Voice(cluster)


@pytest.mark.parametrize("name", TIMINGS)
def test_a_period_lies_between_two_heartbeats(cluster: Cluster, name: str) -> None:
    """AliveMsgPeriod is kept as configured (KB Q226377, Q232711)."""
    timing = TIMINGS[name]
    voice = Voice(dataclasses.replace(cluster, timing=timing))
    due = Instant(BEGINNING + timing.period_ns)
    assert voice.speaker.next_at(State.CONVERGED) == due
    assert voice.speak(Instant(due - 1)) is None
    assert voice.speak(due) is not None
    assert voice.speaker.next_at(State.CONVERGED) == due + timing.period_ns


def test_news_cannot_wait_but_keeps_the_spacing(voice: Voice) -> None:
    spacing_ns = 3 * voice.cluster.timing.period_ns // SPACING_DIVISOR
    assert spacing_ns == ms(3)
    voice.speaker.hurry()
    assert voice.speak(Instant(BEGINNING + spacing_ns - 1)) is None
    assert voice.speak(Instant(BEGINNING + spacing_ns)) is not None
    assert voice.speaker.next_at(State.CONVERGED) == BEGINNING + spacing_ns + ms(100)


def test_what_frames_are_lost_for_waits_for_nothing_and_only_once(voice: Voice) -> None:
    voice.speaker.shout()
    assert voice.speak(BEGINNING) is not None
    assert voice.speaker.next_at(State.CONVERGED) == BEGINNING + ms(100)


def test_what_is_said_is_what_it_was_given_and_whom_it_hears(voice: Voice) -> None:
    two = voice.peers.get(TWO)
    assert two is not None
    voice.peers.hear(two, mac(TWO), said(voice.cluster, TWO, 9), ms(5050))
    assert voice.speak(ms(5100)) == Heartbeat(
        host=ONE,
        state=State.CONVERGED,
        boot_nonce=NONCE,
        sequence=5001,
        configuration=voice.cluster.configuration,
        target=0b111,
        echoes=(echo(TWO, 9),),
        foreign=(1, 2, 3),
    )
    assert voice.lease.sent(5001) == (5001, ms(5100))


def test_an_agent_that_begins_later_goes_on_above_what_was_said_before(voice: Voice) -> None:
    """The spacing is more than a millisecond, so the clock outruns any sequence."""
    for at in range(50):
        voice.speaker.hurry()
        voice.speak(ms(5003 + 3 * at))
    assert voice.speaker.sequence == 5050
    successor = Speaker(voice.cluster, ONE, NONCE, voice.lease, ms(5151))
    assert successor.sequence > voice.speaker.sequence


def test_goodbye_is_said_as_often_as_loss_is_tolerated(voice: Voice) -> None:
    voice.speaker.say_goodbye()
    said_at = [at for at in range(5000, 6000) if voice.speak(ms(at), State.STOPPED)]
    assert said_at == [5003, 5103, 5203]
    assert voice.speaker.next_at(State.STOPPED) is None
