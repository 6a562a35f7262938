# SPDX-License-Identifier: Apache-2.0
"""What rows mean together: every matrix of two and of three hosts, and the segments behind them.

A matrix says of each pair of hosts whether the probes of one arrive at the other, are silent, or
cannot be told yet. There are 9 of two hosts and 729 of three; each is judged here in two ways.
"""

from collections.abc import Iterable, Mapping
from itertools import permutations, product

import pytest

from wlbs.core.protocol.delivering import Row
from wlbs.core.protocol.diagnosing import Diagnosis, Finding, choose_receiver, diagnose
from wlbs.core.rules import HostIndex

ARRIVING, SILENT, UNTOLD = "arriving", "silent", "untold"
Matrix = Mapping[tuple[HostIndex, HostIndex], str]
"""What the first host says of the probes of the second."""


def hosts(count: int) -> tuple[HostIndex, ...]:
    return tuple(map(HostIndex, range(count)))


def matrices(count: int) -> Iterable[Matrix]:
    pairs = list(permutations(hosts(count), 2))
    for cells in product((ARRIVING, SILENT, UNTOLD), repeat=len(pairs)):
        yield dict(zip(pairs, cells, strict=True))


def rows_of(matrix: Matrix) -> dict[HostIndex, Row]:
    def bits(index: HostIndex, what: str) -> int:
        return sum(1 << b for (a, b), cell in matrix.items() if a == index and cell == what)

    return {at: Row(bits(at, ARRIVING), bits(at, SILENT)) for at in {a for a, _ in matrix}}


def gets(matrix: Matrix, index: HostIndex) -> set[str]:
    """Return what a host says of the others' probes."""
    return {cell for (a, _), cell in matrix.items() if a == index}


def is_got(matrix: Matrix, index: HostIndex) -> set[str]:
    """Return what the others say of a host's probes."""
    return {cell for (_, b), cell in matrix.items() if b == index}


def captors_of(matrix: Matrix, whole: list[HostIndex]) -> list[HostIndex]:
    """Return those of who gets everything whose own probes are silent wherever one can tell."""
    return [h for h in whole if SILENT in is_got(matrix, h) and ARRIVING not in is_got(matrix, h)]


def explained(matrix: Matrix, count: int, *, has_flooded: bool) -> Diagnosis:
    """Return what a person would say of the matrix, cell by cell."""
    cells = set(matrix.values())
    whole = [
        h for h in hosts(count) if ARRIVING in gets(matrix, h) and SILENT not in gets(matrix, h)
    ]
    complete = sum(1 << h for h in whole)
    if SILENT not in cells:
        return Diagnosis(Finding.HEALTHY, None, complete)
    captors = captors_of(matrix, whole)
    if captors:
        captor = captors[0]
        others = {cell for (a, _), cell in matrix.items() if a != captor}
        finding = Finding.PARTLY_CAPTURED if ARRIVING in others else Finding.CAPTURED
        return Diagnosis(finding, captor, complete)
    if has_flooded and not complete:
        return Diagnosis(Finding.STRANGER, None, 0)
    return Diagnosis(Finding.BLOCKED, None, complete)


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("has_flooded", [True, False])
def test_every_matrix_means_what_a_person_would_say(count: int, *, has_flooded: bool) -> None:
    found = set()
    for matrix in matrices(count):
        said = diagnose(rows_of(matrix), has_ever_flooded=has_flooded)
        assert said == explained(matrix, count, has_flooded=has_flooded), matrix
        found.add(said.finding)
    taken = {Finding.STRANGER} if has_flooded else set()
    partly = {Finding.PARTLY_CAPTURED} if count == 3 else set()
    blocked = {Finding.BLOCKED} if count == 3 or not has_flooded else set()
    assert found >= {Finding.HEALTHY, Finding.CAPTURED, *taken, *partly, *blocked}


def test_names_do_not_matter() -> None:
    """Whoever is host 1 becomes host 2: so does the captor, and nothing else changes."""
    for matrix in matrices(3):
        said = diagnose(rows_of(matrix), has_ever_flooded=True)
        if UNTOLD in matrix.values():
            continue  # while some cannot tell, several may look like the captor
        for renamed in permutations(hosts(3)):
            other = {(renamed[a], renamed[b]): cell for (a, b), cell in matrix.items()}
            again = diagnose(rows_of(other), has_ever_flooded=True)
            captor = None if said.captor is None else renamed[said.captor]
            assert (again.finding, again.captor) == (said.finding, captor)


def test_there_is_one_captor_as_soon_as_all_can_tell() -> None:
    for matrix in matrices(3):
        whole = [h for h in hosts(3) if gets(matrix, h) == {ARRIVING}]
        assert UNTOLD in matrix.values() or len(captors_of(matrix, whole)) <= 1


def test_a_newcomer_that_cannot_tell_yet_changes_no_finding() -> None:
    rows = segment(4, AT_HOST_3)
    rows[HostIndex(3)] = Row()
    assert diagnose(rows, has_ever_flooded=True) == Diagnosis(Finding.CAPTURED, HostIndex(2), 0b100)


def segment(count: int, reached: Mapping[int, set[int]]) -> dict[HostIndex, Row]:
    """Return the rows on a segment where each host's probes reach those named."""
    return rows_of(
        {(a, b): ARRIVING if a in reached[b] else SILENT for a, b in permutations(hosts(count), 2)}
    )


FLOODED = {at: {0, 1, 2, 3} - {at} for at in range(4)}
AT_HOST_3: dict[int, set[int]] = {0: {2}, 1: {2}, 2: set(), 3: {2}}
AT_HOST_3_BEHIND_A_SWITCH: dict[int, set[int]] = {0: {2}, 1: {2, 3}, 2: set(), 3: {1, 2}}
"""Host 1's switch has learned the VMAC; the one of hosts 2 and 4 floods still."""
NOWHERE: dict[int, set[int]] = {at: set() for at in range(4)}
BEHIND_ONE_SWITCH: dict[int, set[int]] = {0: {1}, 1: {0}, 2: {3}, 3: {2}}
"""Between two switches nothing unknown is flooded."""


@pytest.mark.parametrize(
    ("reached", "has_flooded", "finding", "captor", "complete"),
    [
        (FLOODED, False, Finding.HEALTHY, None, 0b1111),
        (AT_HOST_3, True, Finding.CAPTURED, 2, 0b100),
        (AT_HOST_3, False, Finding.CAPTURED, 2, 0b100),
        (AT_HOST_3_BEHIND_A_SWITCH, True, Finding.PARTLY_CAPTURED, 2, 0b100),
        (NOWHERE, True, Finding.STRANGER, None, 0),
        (NOWHERE, False, Finding.BLOCKED, None, 0),
        (BEHIND_ONE_SWITCH, True, Finding.STRANGER, None, 0),
        (BEHIND_ONE_SWITCH, False, Finding.BLOCKED, None, 0),
    ],
)
def test_each_segment_is_told_from_the_others(
    reached: Mapping[int, set[int]],
    finding: Finding,
    captor: HostIndex | None,
    complete: int,
    *,
    has_flooded: bool,
) -> None:
    said = diagnose(segment(4, reached), has_ever_flooded=has_flooded)
    assert said == Diagnosis(finding, captor, complete)
    assert said.is_flooding is (finding is Finding.HEALTHY)


def test_what_is_lost_on_a_segment_that_floods_is_thinned_out() -> None:
    said = diagnose(segment(4, FLOODED), has_ever_flooded=True, is_thinned=True)
    assert said == Diagnosis(Finding.THINNED, None, 0b1111)
    assert said.is_flooding
    taken = diagnose(segment(4, AT_HOST_3), has_ever_flooded=True, is_thinned=True)
    assert taken.finding is Finding.CAPTURED


def test_a_host_that_takes_no_part_has_no_say() -> None:
    """Host 4 has stopped: that its probes are silent says nothing of the segment."""
    rows = segment(4, {**FLOODED, 3: set()})
    del rows[HostIndex(3)]
    assert diagnose(rows, has_ever_flooded=True).finding is Finding.HEALTHY


def test_one_alone_can_tell_nothing() -> None:
    assert diagnose({HostIndex(0): Row(0b10, 0b100)}, has_ever_flooded=True) == Diagnosis(
        Finding.HEALTHY
    )


def test_whoever_receives_goes_on_while_it_gets_everything() -> None:
    both = Diagnosis(Finding.BLOCKED, None, 0b110)
    assert choose_receiver(both, HostIndex(2)) == 2
    assert choose_receiver(both, HostIndex(0)) == 1
    assert choose_receiver(both, None) == 1


def test_the_captor_receives_and_without_anybody_complete_nobody_does() -> None:
    captured = Diagnosis(Finding.PARTLY_CAPTURED, HostIndex(2), 0b110)
    assert choose_receiver(captured, None) == 2
    assert choose_receiver(captured, HostIndex(1)) == 1
    assert choose_receiver(Diagnosis(Finding.STRANGER, None, 0), HostIndex(1)) is None


def test_on_a_segment_that_floods_nobody_receives_for_others() -> None:
    for finding in (Finding.HEALTHY, Finding.THINNED):
        assert choose_receiver(Diagnosis(finding, None, 0b111), HostIndex(1)) is None


def test_the_receiver_gets_everybodys_frames_whatever_the_matrix() -> None:
    for matrix in matrices(3):
        said = diagnose(rows_of(matrix), has_ever_flooded=True)
        for current in (None, *hosts(3)):
            receiver = choose_receiver(said, current)
            assert receiver is None or SILENT not in gets(matrix, receiver)
            assert (receiver is None) == (said.is_flooding or not said.complete)
