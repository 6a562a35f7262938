# SPDX-License-Identifier: Apache-2.0
"""An instant is a plain number of nanoseconds: it can be added to and compared as one."""

from wlbs.core.instant import Instant


def test_an_instant_is_its_nanoseconds() -> None:
    assert Instant(Instant(5) + 2) == 7
    assert Instant(5) < Instant(6)
