# SPDX-License-Identifier: Apache-2.0
"""What agents told their operators, against what a scenario made happen.

The one place that reads an agent's words, and only to judge whether they were true.
"""

from typing import Final

from wlbs.scenario.evidence import Said
from wlbs.scenario.expectations import Names, Tells
from wlbs.scenario.judging.observed import Observed, with_examples
from wlbs.scenario.report import Expectation

CAPTURE: Final = "capture"
"""The event by which an agent says how frames for the VMAC travel."""

EARLY_S: Final = 0.5
"""A step that sends is over when it is known to have sent; the agent may have seen it before."""


def names(observed: Observed, wanted: Names) -> Expectation:
    """Judge that the cause was named in time, and no other host was blamed."""
    whose = f" ({wanted.captor})" if wanted.captor else ""
    what = f"within {wanted.within_s:g} s of '{wanted.after}' is told: {wanted.finding}{whose}"
    moment = observed.moment(wanted.after)
    if moment is None:
        return observed.found(what, held=False, seen=f"'{wanted.after}' never came")
    until_s = observed.end_of(wanted.until)
    told = [
        each
        for each in observed.evidence.said
        if each.event == CAPTURE and moment.at_s - EARLY_S <= each.at_s < until_s
    ]
    number = _number(observed, wanted.captor)
    timely = [
        each
        for each in told
        if each.fields["means"] == wanted.finding
        and each.fields["captor"] == number
        and each.at_s <= moment.at_s + wanted.within_s
    ]
    wrong = [each for each in told if each.fields["captor"] not in {number, ""}]
    return observed.found(
        what,
        held=bool(timely) and not wrong,
        seen=with_examples(f"{len(told)} lines, {len(wrong)} blame another", _words(told)),
        broke_s=[each.at_s for each in wrong],
    )


def tells(observed: Observed, wanted: Tells) -> Expectation:
    """Judge that one host told something in time."""
    words = " and ".join(f"'{word}'" for word in wanted.words)
    what = f"{wanted.host} tells within {wanted.within_s:g} s of '{wanted.after}' of {words}"
    moment = observed.moment(wanted.after)
    if moment is None:
        return observed.found(what, held=False, seen=f"'{wanted.after}' never came")
    lines = [
        " ".join(each.fields.values())
        for each in observed.evidence.said
        if each.host == wanted.host
        and moment.at_s - EARLY_S <= each.at_s <= moment.at_s + wanted.within_s
    ]
    fitting = [line for line in lines if all(word in line for word in wanted.words)]
    examples = fitting or lines
    return observed.found(
        what, held=bool(fitting), seen=with_examples(f"{len(fitting)} lines", examples)
    )


def _number(observed: Observed, host: str | None) -> str:
    """Return a host as agents name it, by its priority."""
    return str(observed.topology.node(host).number) if host else ""


def _words(told: list[Said]) -> list[str]:
    return [
        f"{each.host} at {each.at_s:.3f} s: {each.fields['means']} {each.fields['captor']}"
        for each in told
    ]
