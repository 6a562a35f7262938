# SPDX-License-Identifier: Apache-2.0
"""The lease: from the sending of what was echoed, never shortened but by its end."""

import pytest
from tests.core.protocol.said import ms

from wlbs.core.cluster import TIMINGS
from wlbs.core.protocol.lease import Lease

DEFAULT = TIMINGS["default"]


@pytest.fixture
def lease() -> Lease:
    """Return a lease of the default profile: 285 ms."""
    return Lease(DEFAULT, ms(0))


def test_there_is_none_at_first(lease: Lease) -> None:
    assert lease.until is None
    assert not lease.is_live(ms(0))


def test_it_runs_from_the_sending_and_not_from_the_echo(lease: Lease) -> None:
    assert lease.prolong(ms(10), ms(90), is_self_held=False)
    assert lease.until == ms(10 + 285)
    assert lease.is_live(ms(294.9))
    assert not lease.is_live(ms(295))


def test_it_is_never_shortened(lease: Lease) -> None:
    assert lease.prolong(ms(100), ms(100), is_self_held=False)
    assert not lease.prolong(ms(50), ms(110), is_self_held=True)
    assert not lease.prolong(ms(100), ms(110), is_self_held=True)
    assert lease.until == ms(385)
    assert not lease.is_self_held


def test_what_has_run_out_already_is_not_held(lease: Lease) -> None:
    assert not lease.prolong(ms(0), ms(285), is_self_held=False)
    assert lease.until is None


def test_it_knows_whose_word_it_hangs_on(lease: Lease) -> None:
    lease.prolong(ms(0), ms(1), is_self_held=True)
    assert lease.is_self_held
    lease.prolong(ms(1), ms(2), is_self_held=False)
    assert not lease.is_self_held


def test_ending_it_says_whether_there_was_one(lease: Lease) -> None:
    assert not lease.end()
    lease.prolong(ms(0), ms(1), is_self_held=False)
    assert lease.end()
    assert lease.until is None


def test_a_heartbeat_is_found_by_its_low_bits_while_it_is_recent(lease: Lease) -> None:
    sequence = 1 << 32 | 7
    lease.send(sequence, ms(0))
    lease.send(sequence + 1, ms(300))
    assert lease.sent(7) == (sequence, ms(0))
    assert lease.last_sent == ms(300)
    lease.send(sequence + 2, ms(301))
    assert lease.sent(7) is None
    assert lease.sent(8) == (sequence + 1, ms(300))
