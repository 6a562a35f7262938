# SPDX-License-Identifier: Apache-2.0
"""What is lost is no capture: an hour of a sound segment, and how soon a capture is noticed there.

The short form runs always, the hour with `make prove`.
"""

import pytest
from tests.core.protocol.lossy import LossySegment

from wlbs.core.protocol.diagnosing import Finding


@pytest.mark.parametrize(
    ("count", "seconds"), [(2, 60), (3, 60), (16, 10)], ids=["2 hosts", "3 hosts", "16 hosts"]
)
@pytest.mark.parametrize("loss", [0, 0.01, 0.05, 0.2])
def test_what_is_lost_is_no_capture(count: int, seconds: int, loss: float) -> None:
    segment = LossySegment(count, loss, seed=1)
    segment.run(seconds)
    assert false_alarms(segment) == 0


@pytest.mark.prove
@pytest.mark.parametrize("count", [2, 3, 16])
@pytest.mark.parametrize(("loss", "at_most"), [(0, 0), (0.01, 0), (0.05, 0), (0.2, 1)])
def test_in_an_hour_what_is_lost_is_no_capture(count: int, loss: float, at_most: int) -> None:
    segment = LossySegment(count, loss, seed=2)
    segment.run(3600)
    assert false_alarms(segment) <= at_most


def test_a_segment_that_loses_nearly_everything_is_told() -> None:
    """So that the two tests above could fail."""
    segment = LossySegment(3, 0.8, seed=1)
    segment.run(60)
    assert false_alarms(segment) > 0


def false_alarms(segment: LossySegment) -> int:
    harmless = {Finding.HEALTHY, Finding.THINNED}
    return sum(count for what, count in segment.alarms.items() if what not in harmless)
