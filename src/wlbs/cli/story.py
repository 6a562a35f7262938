# SPDX-License-Identifier: Apache-2.0
"""The story that `wlbs demo` tells: its chapters, and in plain words what was seen in each.

Knows which run shows which chapter and how an expectation reads to somebody who has never heard of
one. Knows nothing of how a run is carried out or shown; every figure comes from its report.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from wlbs.scenario.expectations import (
    Announced,
    CutOff,
    Expects,
    Forgotten,
    Learned,
    Names,
    Relayed,
    Served,
    Tells,
    Unbroken,
)
from wlbs.scenario.library import SCENARIOS
from wlbs.scenario.report import Expectation, Report
from wlbs.scenario.scripts.showing import AGEING, ANNOUNCED, BEGUN, HEALTHY, REBOOTED, REBOOTING
from wlbs.scenario.steps import Scenario, SetAgeing, SetCarrier, Step


@dataclass(frozen=True, slots=True)
class Chapter:
    """One part of the story: it begins with the step of the first label, or with the run."""

    title: str
    words: str
    labels: tuple[str, ...]
    """Whatever is expected after one of these moments belongs to it."""
    begins_run: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """One run, and the chapters it shows."""

    scenario: Scenario
    set_up: str
    chapters: tuple[Chapter, ...]


STORY: Final = (
    Part(
        SCENARIOS["show-nt4"],
        "mode unicast as on Windows NT 4.0: every card has the cluster's MAC; nobody heals",
        (
            Chapter(
                "1. Healthy",
                "Three hosts share one address. No port has ever sent from the cluster's MAC, so\n"
                "the switch floods what is for it; each host keeps its share of the clients.",
                (BEGUN, HEALTHY),
                begins_run=True,
            ),
            Chapter(
                "2. A network monitor is bound below the guard (Microsoft KB Q258609)",
                "On h2 somebody starts to capture. The monitor tells the LAN so in one LLC frame,\n"
                "from the address of the card. That is the cluster's: the switch learns it.",
                (ANNOUNCED,),
            ),
            Chapter(
                "3. Rebooting cures",
                "h2 goes down. The switch forgets what it had learned at that port.",
                (REBOOTING, REBOOTED),
            ),
        ),
    ),
    Part(
        SCENARIOS["show-heal"],
        'the same mode and the same monitor, with healing = ["relay"], which is the default',
        (
            Chapter(
                "4. The same with healing",
                "The same frame, the same switch. The hosts notice that frames reach h2 only,\n"
                "and h2 sends on what is not its own, until the switch has forgotten.",
                (ANNOUNCED, AGEING, ""),
                begins_run=True,
            ),
        ),
    ),
    Part(
        SCENARIOS["show-stealth"],
        "mode stealth, which is the default: no card has the cluster's MAC",
        (
            Chapter(
                "5. Stealth",
                "The same monitor again. It announces itself from the address of the card, and\n"
                "that is h2's own: there is nothing to learn.",
                (BEGUN, HEALTHY, ANNOUNCED, ""),
                begins_run=True,
            ),
        ),
    ),
)


def words_of(step: Step) -> str:
    """Return what a step does within its chapter; nothing for what goes without saying."""
    match step:
        case SetCarrier(up=True):
            return f"{step.host} is back."
        case SetAgeing():
            return f"The switch's ageing time is set to {step.seconds:g} s, so that it forgets."
        case _:
            return ""


def chapter_of(part: Part, step: Step) -> Chapter | None:
    """Return the chapter that a step begins, if it begins one."""
    label = getattr(step, "label", "")
    for chapter in part.chapters:
        begins = chapter.labels[0]
        if label and label == begins and not chapter.begins_run:
            return chapter
    return None


def findings(part: Part, report: Report) -> Iterator[str]:
    """Yield what was seen, chapter by chapter, and at last whatever did not hold."""
    judged = tuple(zip(part.scenario.expects, report.expectations, strict=False))
    for chapter in part.chapters:
        yield f"  {chapter.title}; seen:"
        for expects, found in judged:
            is_told = getattr(expects, "after", "") in chapter.labels
            words = _plainly(expects, found, report) if is_told and found.held else ""
            if words:
                yield f"     {words}"
    broken = [each for each in report.expectations if not each.held]
    for each in broken:
        yield f"  BROKEN  {each.what}: {each.seen}"
    held_count = len(report.expectations) - len(broken)
    yield f"  {held_count} of {len(report.expectations)} expectations held"


def _plainly(  # noqa: PLR0911 - one return for each kind of expectation
    expects: Expects, found: Expectation, report: Report
) -> str:
    """Return one expectation that held in plain words; nothing for what only an expert asks."""
    match expects:
        case Served(batch=batch):
            return f"clients of {batch}: {found.seen} answered at once"
        case CutOff(batch=batch):
            return f"clients of {batch}: cut off, {found.seen}"
        case Forgotten():
            return "switch: no port known for the cluster's MAC"
        case Learned(node=node):
            return f"switch: the cluster's MAC is learned at {node}'s port"
        case Announced():
            return f"{found.what}: {found.seen}"
        case Relayed(captor=captor):
            took_ms = report.figures["relay_ms"]
            return f"{captor} relays: everyone is served {took_ms:.0f} ms after the capture"
        case Unbroken():
            return f"connections that were open go on: {found.seen}"
        case Names(finding=finding, captor=captor):
            return f"agents say: {finding}: {captor}"
        case Tells(host=host):
            return f"{host} says: {found.seen.partition(': ')[2]}"
        case _:
            return ""


def summary(reports: dict[str, Report]) -> list[str]:
    """Return what a person remembers of it all, with the figures of all runs."""
    before, healed, hidden = (reports[part.scenario.name] for part in STORY)
    lines = []
    cut_off_s = [
        value / 1000 for name, value in before.figures.items() if name.startswith("cut_off_ms")
    ]
    if cut_off_s:
        lines.append(
            f"without healing one frame cut {len(cut_off_s)} of 3 hosts off for "
            f"{max(cut_off_s):.1f} s, until h2 was rebooted: "
            f"{before.figures['connections_failed']:g} new connections failed;"
        )
    if "relay_ms" in healed.figures:
        lines.append(
            f"with healing for {healed.figures['relay_ms']:.0f} ms: "
            f"{healed.figures['broken']:g} open connections broke, "
            f"{healed.figures['connections_failed']:g} new ones failed;"
        )
    lines.append(
        f"in stealth not at all: {hidden.figures['connections_failed']:g} of "
        f"{hidden.figures['connections']:g} new connections failed."
    )
    return lines
