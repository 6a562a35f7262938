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
    when = f"within {wanted.within_s:g} s of '{wanted.after}'" if wanted.after else "by some agent"
    what = f"{when} is told: {wanted.finding}{whose}"
    number = _number(observed, wanted.captor)
    since_s, until_s = _since(observed, wanted.after), observed.end_of(wanted.until)
    said = [each for each in observed.evidence.said if each.event == CAPTURE]
    told = [each for each in said if since_s - EARLY_S <= each.at_s < until_s]
    by_s = since_s + wanted.within_s if wanted.after else until_s
    timely = [
        each
        for each in told
        if each.fields["means"] == wanted.finding
        and each.fields["captor"] == number
        and each.at_s <= by_s
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
    since_s = _since(observed, wanted.after)
    lines = [
        each
        for each in observed.evidence.said
        if each.host == wanted.host and since_s - EARLY_S <= each.at_s <= since_s + wanted.within_s
    ]
    fitting = [
        each
        for each in lines
        if all(word in " ".join(each.fields.values()) for word in wanted.words)
    ]
    # One line that fits tells it all; of none that does, each is worth reading. What is put in
    # words comes last in each.
    examples = [list(each.fields.values())[-1] for each in fitting[:1] or lines]
    return observed.found(
        what, held=bool(fitting), seen=with_examples(f"{len(fitting)} lines", examples)
    )


def _since(observed: Observed, after: str) -> float:
    """Return when a moment came: before everything without one, never if it did not come."""
    if not after:
        return float("-inf")
    moment = observed.moment(after)
    return moment.at_s if moment else float("inf")


def _number(observed: Observed, host: str | None) -> str:
    """Return a host as agents name it, by its priority."""
    return str(observed.topology.node(host).number) if host else ""


def _words(told: list[Said]) -> list[str]:
    return [
        f"{each.host} at {each.at_s:.3f} s: {each.fields['means']} {each.fields['captor']}"
        for each in told
    ]
