# SPDX-License-Identifier: Apache-2.0
"""What docs/design/protocol.md shows of the code is what the code says.

Each part is compared with what is made of the code's own tables; the message is the text that is to
stand there.
"""

import re
from pathlib import Path

import pytest

from wlbs.core.cluster import TIMINGS
from wlbs.core.protocol.diagnosing import Finding
from wlbs.core.protocol.effects import HealingStep, State
from wlbs.core.protocol.member import TRANSITIONS
from wlbs.core.protocol.refusal import MEANING, Refusal

PAGE = Path(__file__).parents[2] / "docs/design/protocol.md"


def transitions() -> str:
    moves = [
        f"    {before} --> {after}"
        for before in State
        for after in State
        if after in TRANSITIONS[before]
    ]
    return "\n".join(["```mermaid", "stateDiagram-v2", "    [*] --> stopped", *moves, "```"])


def timings() -> str:
    rows = [
        f"| `{name}` | {each.period_ns / 1e6:g} ms | {each.tolerance} "
        f"| {each.detection_ns / 1e6:g} ms | {each.lease_ns / 1e6:g} ms |"
        for name, each in TIMINGS.items()
    ]
    head = ["| profile | period | tolerance | detection time | lease |", "|---|---|---|---|---|"]
    return "\n".join(head + rows)


def refusals() -> str:
    rows = [f"| {int(each)} | `{each.name}` | {MEANING[each]} |" for each in Refusal]
    return "\n".join(["| number | name | meaning |", "|---|---|---|", *rows])


PARTS = {"transitions": transitions, "timings": timings, "refusals": refusals}


def shown(page: str, part: str) -> str:
    """Return what the page shows between the marks of a part."""
    found = re.search(rf"<!-- {part}:[^\n]*-->\n(.*?)\n?<!-- end -->", page, re.DOTALL)
    assert found, f"the page has lost its part {part}"
    return found[1]


@pytest.mark.parametrize("part", PARTS)
def test_the_page_shows_what_the_code_says(part: str) -> None:
    assert shown(PAGE.read_text(), part) == PARTS[part](), f"write:\n{PARTS[part]()}"


@pytest.mark.parametrize("part", PARTS)
def test_a_page_that_says_something_else_is_told(part: str) -> None:
    page = PAGE.read_text()
    stale = page.replace(PARTS[part]().splitlines()[-2], "| something | else |")
    assert shown(stale, part) != PARTS[part]()


def test_every_state_is_explained() -> None:
    page = PAGE.read_text()
    assert [state for state in State if f"| `{state}` |" not in page] == []


def test_every_finding_and_every_step_of_healing_is_explained() -> None:
    page = PAGE.read_text()
    assert [each for each in [*Finding, *HealingStep] if f"| `{each}` |" not in page] == []
