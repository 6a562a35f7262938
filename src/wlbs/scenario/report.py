# SPDX-License-Identifier: Apache-2.0
"""What a run amounts to: each expectation with what was seen, and the figures of the run.

Plain values that turn into JSON as they stand. Knows nothing of how they are shown.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Expectation:
    """One thing that had to hold; ``at_s`` is when it broke, or when it was last seen to hold."""

    what: str
    at_s: float
    held: bool
    seen: str


@dataclass(frozen=True, slots=True)
class Report:
    """One run of one scenario in one world, repeatable by its seed."""

    scenario: str
    world: str
    seed: int
    expectations: tuple[Expectation, ...]
    figures: Mapping[str, float]

    @property
    def passed(self) -> bool:
        """Whether every expectation held; a run that expected nothing has shown nothing."""
        return bool(self.expectations) and all(each.held for each in self.expectations)


def as_plain(report: Report) -> dict[str, object]:
    """Return a report in the form ``--json`` prints."""
    return {
        "scenario": report.scenario,
        "world": report.world,
        "seed": report.seed,
        "passed": report.passed,
        "expectations": [asdict(each) for each in report.expectations],
        "figures": dict(report.figures),
    }
