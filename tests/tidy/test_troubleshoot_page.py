# SPDX-License-Identifier: Apache-2.0
"""The guide says of every finding what it means and what to do, and names no other."""

from pathlib import Path

from wlbs.core.protocol.diagnosing import Finding

PAGE = Path(__file__).parents[2] / "docs/guide/troubleshoot.md"


def findings_of(page: str) -> list[str]:
    """Return the first cell of each row between the marks, without the head."""
    _, _, rest = page.partition("<!-- findings:")
    table, _, _ = rest.partition("<!-- end -->")
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    return [row.split("|")[1].strip() for row in rows[1:]]


def test_every_finding_has_its_row() -> None:
    assert findings_of(PAGE.read_text()) == [str(each) for each in Finding]


def test_a_page_without_the_table_is_noticed() -> None:
    assert findings_of("| finding |") == []
