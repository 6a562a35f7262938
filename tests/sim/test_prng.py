# SPDX-License-Identifier: Apache-2.0
"""The generator gives the same numbers for ever, and each purpose numbers of its own."""

from wlbs.sim.prng import MILLION, Prng


def test_it_is_splitmix64() -> None:
    """The first outputs for state 1234567, as published with Vigna's splitmix64.c."""
    prng = Prng(0, "")
    prng._state = 1234567
    drawn = [prng.word() for _ in range(3)]
    assert drawn == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_a_seed_and_a_purpose_name_one_stream_for_ever() -> None:
    assert Prng(1, "h1").word() == 6169426299015948093
    assert Prng(1, "h1").word() == Prng(1, "h1").word()
    assert len({Prng(seed, name).word() for seed in (1, 2) for name in ("h1", "h2")}) == 4


def test_a_range_is_drawn_with_both_its_ends() -> None:
    prng = Prng(3, "range")
    assert {prng.between(5, 8) for _ in range(200)} == {5, 6, 7, 8}
    assert prng.between(7, 7) == 7


def test_what_happens_rarely_happens_rarely() -> None:
    prng = Prng(4, "loss")
    count = sum(prng.happens(MILLION // 10) for _ in range(10_000))
    assert 900 < count < 1100
    assert not any(prng.happens(0) for _ in range(100))
    assert all(prng.happens(MILLION) for _ in range(100))
