# SPDX-License-Identifier: Apache-2.0
"""Probes and what is made of them: when a peer is silent, and what is no silence at all."""

import pytest
from tests.core.protocol.said import MS, THREE, TWO, ms

from wlbs.core.cluster import TIMINGS
from wlbs.core.protocol.delivering import (
    LOSS_WINDOW,
    NO_ROW,
    ROUND_NS_MIN,
    SIGHTED_NS,
    THINNED_LOSS,
    Deliveries,
    Row,
)
from wlbs.core.protocol.events import Instant

ROUND_MS = 25
PROBES_PER_PERIOD = 5
"""One each round, and one before each heartbeat."""


class Listener:
    """Host 1, and host 2 as it sends: its probes and heartbeats, which of them are lost is said."""

    def __init__(self, sent: int = 0, arrived: int = 0) -> None:
        """Have heard one heartbeat, and counted what was there before."""
        self.at_ms = 1000
        self.deliveries = Deliveries(TIMINGS["default"], (TWO,), ms(self.at_ms))
        self.sent = sent
        self.arrived = arrived
        self.round_count = 0
        self.count()
        self.speak()

    def count(self) -> bool:
        """Count what has arrived; whether that changed the row."""
        return self.deliveries.count((0, self.arrived), ms(self.at_ms))

    def speak(self, lost_count: int = 0) -> None:
        """Let its heartbeat be heard."""
        self.deliveries.hear(TWO, self.sent & 0xFFFFFFFF, lost_count, ms(self.at_ms))

    def round(self, *, arrives: bool = True, is_heard: bool = True, counts: bool = True) -> None:
        """Let one round pass; every fourth has a heartbeat, and a second probe before it."""
        self.at_ms += ROUND_MS
        self.round_count += 1
        is_period = self.round_count % 4 == 0
        probes = 1 + is_period
        self.sent += probes
        self.arrived += probes if arrives else 0
        if is_period and is_heard:
            self.speak()
        if counts:
            self.count()

    def settle(self, rounds: int = 200) -> "Listener":
        """Let all arrive until the loss is known to be none."""
        for _ in range(rounds):
            self.round()
        assert self.deliveries.row == Row(0b10, 0)
        return self

    def rounds_until_silent(self, most: int = 60) -> int:
        """Let nothing arrive; return after how many rounds the peer is silent."""
        count = 0
        while not self.deliveries.row.silent:
            assert count < most, f"not silent after {most} rounds"
            self.round(arrives=False)
            count += 1
        return count


@pytest.mark.parametrize(
    ("timing", "round_ms"), [("fast", 10), ("default", ROUND_MS), ("nlb", 250)]
)
def test_there_are_four_rounds_in_a_period_and_a_hundred_in_a_second_at_most(
    timing: str, round_ms: int
) -> None:
    deliveries = Deliveries(TIMINGS[timing], (), ms(7))
    assert deliveries.round_ns == round_ms * MS >= ROUND_NS_MIN
    assert deliveries.is_due(ms(7))
    deliveries.send(ms(8))
    assert deliveries.next_at == ms(8 + round_ms)
    assert not deliveries.is_due(Instant(ms(8 + round_ms) - 1))
    assert deliveries.sent_count == 1


def test_what_was_sent_is_counted_to_32_bits() -> None:
    deliveries = Deliveries(TIMINGS["default"], (), ms(0))
    deliveries.sent_count = 0xFFFFFFFF
    deliveries.send(ms(0))
    assert deliveries.sent_count == 0


def test_at_first_nothing_can_be_told() -> None:
    assert Listener().deliveries.row == NO_ROW


def test_a_peer_whose_probes_come_arrives() -> None:
    listener = Listener()
    listener.round()
    assert listener.deliveries.row == Row(0b10, 0)


def test_what_a_data_path_has_counted_before_is_no_news() -> None:
    """An agent that takes over a data path finds counters above 0."""
    listener = Listener(sent=500, arrived=480)
    assert listener.deliveries.row == NO_ROW
    assert listener.rounds_until_silent() > 6


def test_six_rounds_without_a_probe_are_silence_once_the_wire_is_known_to_be_good() -> None:
    listener = Listener().settle()
    assert listener.rounds_until_silent() == 6
    assert listener.deliveries.row == Row(0, 0b10)


def test_a_wire_that_is_not_known_yet_is_given_longer() -> None:
    listener = Listener()
    listener.round()
    assert 10 <= listener.rounds_until_silent() <= 20


def test_one_probe_ends_silence_and_what_was_swallowed_is_no_loss() -> None:
    listener = Listener().settle()
    listener.rounds_until_silent()
    for _ in range(40):
        listener.round(arrives=False)
    listener.round()
    assert listener.deliveries.row == Row(0b10, 0)
    listener.settle(4)
    assert listener.rounds_until_silent() in {6, 7}


def test_a_change_is_told_and_only_a_change() -> None:
    listener = Listener().settle()
    assert not listener.count()
    listener.at_ms += 1
    listener.arrived += 1
    assert not listener.count()
    listener.rounds_until_silent()
    assert not listener.count()


def test_who_stood_still_has_sent_nothing_and_is_not_blamed() -> None:
    """Neither probes nor heartbeats come; when they come again they say so."""
    listener = Listener().settle()
    for _ in range(40):
        listener.at_ms += ROUND_MS
        listener.count()
    assert listener.deliveries.row == Row(0b10, 0)
    listener.round()
    assert listener.deliveries.row == Row(0b10, 0)


def test_who_cannot_be_heard_is_not_blamed_either() -> None:
    listener = Listener().settle()
    for _ in range(40):
        listener.round(arrives=False, is_heard=False)
    assert listener.deliveries.row == Row(0b10, 0)
    listener.speak()
    listener.count()
    assert listener.deliveries.row == Row(0, 0b10)


def test_who_stood_still_itself_counts_what_has_come_meanwhile() -> None:
    listener = Listener().settle()
    for _ in range(40):
        listener.round(counts=False)
    listener.count()
    assert listener.deliveries.row == Row(0b10, 0)


def test_a_peer_born_again_begins_anew() -> None:
    """Its count falls back to 0; what has arrived of the earlier one stays where it was."""
    listener = Listener().settle()
    listener.deliveries.forget(TWO)
    listener.sent = 0
    listener.speak()
    listener.count()
    assert listener.deliveries.row == NO_ROW
    for _ in range(3):
        listener.round(arrives=False)
    assert listener.deliveries.row == NO_ROW, "too early to tell"
    assert listener.rounds_until_silent() > 6


def test_a_peer_born_again_is_heard_before_anything_was_counted() -> None:
    deliveries = Deliveries(TIMINGS["default"], (TWO,), ms(0))
    deliveries.forget(TWO)
    deliveries.hear(TWO, 7, 0, ms(5000))
    deliveries.count((0, 3), ms(5001))
    deliveries.hear(TWO, 12, 0, ms(5010))
    assert not deliveries.count((0, 3), ms(5011))
    assert deliveries.row == NO_ROW


def test_counts_wrap_at_32_bits() -> None:
    listener = Listener(sent=0xFFFFFF00).settle(400)
    assert listener.sent > 0xFFFFFFFF
    assert not listener.deliveries.thinned()
    assert listener.rounds_until_silent() == 6


def test_a_duplicate_makes_no_loss_of_the_next_one() -> None:
    listener = Listener().settle()
    for _ in range(100):
        listener.arrived += 1
        listener.round()
    assert listener.rounds_until_silent() == 6


@pytest.mark.parametrize("warned", [True, False])
def test_a_frame_from_the_vmac_makes_two_rounds_enough_for_a_second(*, warned: bool) -> None:
    listener = Listener().settle(201)
    deliveries = listener.deliveries
    if warned:
        deliveries.warn(ms(listener.at_ms))
    else:
        assert deliveries.sight(ms(listener.at_ms))
    assert deliveries.is_sighted(ms(listener.at_ms)) is not warned
    assert listener.rounds_until_silent() <= 3
    later = Listener().settle(200)
    later.deliveries.warn(ms(later.at_ms - SIGHTED_NS // MS))
    assert later.rounds_until_silent() == 6


def test_a_sighting_is_news_if_it_is_later_than_the_last() -> None:
    deliveries = Deliveries(TIMINGS["default"], (TWO,), ms(0))
    assert not deliveries.is_sighted(ms(0))
    assert deliveries.sight(ms(5))
    assert not deliveries.sight(ms(5))
    assert deliveries.sight(ms(6))
    assert deliveries.is_sighted(ms(1005))
    assert not deliveries.is_sighted(ms(1006))


def lossy(listener: Listener, one_in: int, rounds: int) -> None:
    for at in range(rounds):
        listener.round(arrives=at % one_in != 0)


@pytest.mark.parametrize(("one_in", "rounds"), [(50, 6), (10, 9), (5, 12), (3, 18)])
def test_the_more_is_lost_the_more_rounds_are_needed(one_in: int, rounds: int) -> None:
    """As many as are lost in a row by chance once in 10^10 times: the logarithm of 10^-10."""
    listener = Listener().settle(40)
    lossy(listener, one_in, 600)
    listener.round()
    assert abs(listener.rounds_until_silent() - rounds) <= 4


def test_half_of_all_lost_is_no_capture_but_thinning() -> None:
    listener = Listener().settle()
    assert listener.deliveries.thinned() == frozenset()
    lossy(listener, 2, 600)
    assert listener.deliveries.row == Row(0b10, 0)
    assert listener.deliveries.thinned() == {TWO}


def test_who_has_not_been_watched_for_long_is_not_called_thinned() -> None:
    listener = Listener()
    lossy(listener, 2, 60)
    assert listener.deliveries.thinned() == frozenset()


def test_where_heartbeats_are_lost_alike_nothing_is_thinned() -> None:
    listener = Listener()
    for at in range(1200):
        is_period = (at + 1) % 8 == 0
        listener.round(arrives=at % 2 == 0, is_heard=False)
        if is_period:
            listener.speak(lost_count=1)
    assert listener.deliveries.row == Row(0b10, 0)
    assert listener.deliveries.thinned() == frozenset()


def test_who_is_silent_is_not_called_thinned_as_well() -> None:
    listener = Listener().settle()
    lossy(listener, 2, 600)
    listener.rounds_until_silent()
    assert listener.deliveries.thinned() == frozenset()


def test_a_heartbeat_may_say_less_than_has_arrived() -> None:
    """What is sent after it arrives before the next one; that evens out and is no loss."""
    deliveries = Deliveries(TIMINGS["default"], (TWO, THREE), ms(0))
    sent, at = 0, 0
    for period in range(100):
        ahead = 3 * (period % 2)
        at = 100 * period
        deliveries.count((0, sent + ahead, 0), ms(at))
        sent += PROBES_PER_PERIOD
        deliveries.hear(TWO, sent, 0, ms(at + 90))
    assert deliveries.row == Row(0b10, 0)
    assert deliveries.thinned() == frozenset()
    assert abs(deliveries._senders[TWO].loss) < THINNED_LOSS / 2
    assert deliveries._senders[TWO].window == LOSS_WINDOW
