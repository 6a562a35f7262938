# SPDX-License-Identifier: Apache-2.0
"""`wlbs monitor`: the frames of an interface, on the screen or in a file; and who else is looking.

Knows words, lines and exit statuses. What is captured, where and how, is known to `monitor`.
"""

import asyncio
import json
import os
import socket
import sys
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

import click

from wlbs.cli.exits import Exit
from wlbs.core.announcement import Bound
from wlbs.core.reason import ACTION
from wlbs.linux.error import LinuxError
from wlbs.linux.instance import DEFAULT_NAME, Instance
from wlbs.monitor.file import CaptureFile, verdict
from wlbs.monitor.identify import Capturer, identify
from wlbs.monitor.place import Place, find_place
from wlbs.monitor.session import OnFrames, Order, Session, Summary
from wlbs.monitor.source import Seen
from wlbs.monitor.voice import Via
from wlbs.monitor.words import addresses, describe

IDENTIFY_S: Final = 3.0
"""Monitors answer at once; those that missed the question announce themselves every second."""
STDOUT: Final = "-"
"""In place of a file's name."""

_NS_PER_S: Final = 1_000_000_000
_WARNING: Final = """\
{interface} bears the cluster's own MAC address, {mac}. Announcements that are sent below the guard
carry it as their source; a switch learns it from them and sends the cluster's traffic to this port
alone: the other hosts stop serving clients (Microsoft KB Q258609). Bound above, they are masked."""


@dataclass(frozen=True, slots=True)
class Words:
    """What was typed."""

    interface: str | None
    instance: str
    bound: str
    announces: bool
    via: str
    file: str | None
    count: int | None
    seconds: float | None
    asks: bool
    is_sure: bool
    as_json: bool


def _interfaces(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """Complete the name of an interface that is here."""
    del context, parameter
    return [name for _, name in socket.if_nameindex() if name.startswith(begun)]


@click.command()
@click.argument("interface", required=False, shell_complete=_interfaces)
@click.option(
    "--instance", default=DEFAULT_NAME, show_default=True, help="Whose filter to be below of."
)
@click.option(
    "--bind",
    "bound",
    type=click.Choice([str(each) for each in Bound]),
    default=str(Bound.ABOVE),
    show_default=True,
    help="Behind the filter, or before it: then every frame is seen, with its verdict.",
)
@click.option(
    "--announce", "announces", is_flag=True, help="Tell the segment every second who is capturing."
)
@click.option(
    "--via",
    type=click.Choice([str(each) for each in Via]),
    default=str(Via.PACKET),
    show_default=True,
    help="How announcements go past the guard; only with --bind below.",
)
@click.option("--write", "file", metavar="FILE", help="Write pcapng to FILE instead; - is stdout.")
@click.option("--count", type=click.IntRange(1), help="End after so many frames.")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), help="End after so long.")
@click.option("--identify", "asks", is_flag=True, help="Ask who is capturing on the segment.")
@click.option(
    "--yes", "is_sure", is_flag=True, help="Do not ask whether what is dangerous is meant."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for scripts.")
def monitor(**typed: object) -> int:
    """Show the frames of an interface, and what the filter makes of each.

    Without INTERFACE it is the one that the instance's filter is on. Bound above, you see what this
    host sees: what the filter kept or passed, and what the guard let out. Bound below, you see
    every frame as it came, and why it was kept, answered or dropped. "capturing on" goes to stderr
    when nothing is missed any more; Ctrl-C ends it with a summary.

    \b
    Examples:
      wlbs monitor --bind below                    why is this frame dropped?
      wlbs monitor eth0 --write - | wireshark -k -i -
      wlbs monitor --identify                      who else is capturing?
    """  # noqa: D301 - click wants the character
    words = Words(**typed)  # type: ignore[arg-type] # click has checked the words
    _refuse_contradictions(words)
    place = find_place(words.interface, Instance(words.instance))
    order = _order(words, place)
    if words.asks:
        found = asyncio.run(identify(place, order.bound, words.seconds or IDENTIFY_S))
        _show_capturers(found, as_json=words.as_json)
        return Exit.OK
    if order.bound is Bound.BELOW and order.announces and place.has_vmac and not words.is_sure:
        click.echo(_WARNING.format(interface=place.interface, mac=place.mac), err=True)
        if not click.confirm("Send them below the guard all the same?", err=True):
            return Exit.FAILED
    _show_summary(_capture(place, order, words), as_json=words.as_json)
    return Exit.OK


def _refuse_contradictions(words: Words) -> None:
    """Refuse words that mean nothing together, instead of leaving some of them out."""
    if words.asks and (words.announces or words.file or words.count):
        message = "--identify captures nothing: leave out --announce, --write and --count"
        raise click.UsageError(message)
    if words.as_json and words.file == STDOUT:
        message = "stdout cannot carry both: give --write a file, or leave --json out"
        raise click.UsageError(message)


def _order(words: Words, place: Place) -> Order:
    """Return what was asked for as it can be had here, and say so where that is less."""
    bound = Bound(words.bound)
    if bound is Bound.BELOW and place.pins is None:
        click.echo(
            f"wlbs: {place.interface} has no filter of instance {words.instance} to be below of;"
            " capturing above (another instance? --instance NAME)",
            err=True,
        )
        bound = Bound.ABOVE
    return Order(bound, words.announces, Via(words.via), words.count, words.seconds)


def _capture(place: Place, order: Order, words: Words) -> Summary:
    with ExitStack() as undo:
        file = None
        on_frames: OnFrames = partial(_print, as_json=words.as_json)
        if words.file is not None:
            file = CaptureFile(undo.enter_context(_opened(words.file)), place.interface)
            on_frames = file.add
        session = Session(place, order, on_frames)
        try:
            asyncio.run(session.run(lambda: _say_ready(place, order)))
            if file is not None:
                file.finish(session.summary)
        except BrokenPipeError:
            # Whoever read the frames has had enough. Nothing more is to be written there at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return session.summary


def _opened(file: str) -> AbstractContextManager[BinaryIO]:
    if file == STDOUT:
        return nullcontext(sys.stdout.buffer)
    try:
        return Path(file).open("wb")
    except OSError as error:
        what = f"cannot write {file}: {error.strerror}"
        raise LinuxError(what, "name a file in a folder that is there and yours") from error


def _say_ready(place: Place, order: Order) -> None:
    click.echo(f"capturing on {place.interface}, bound {order.bound}", err=True)


def _print(frames: list[Seen], *, as_json: bool) -> None:
    for each in frames:
        click.echo(json.dumps(_plain(each)) if as_json else _line(each))


def _line(seen: Seen) -> str:
    at = datetime.fromtimestamp(seen.at_ns / _NS_PER_S).astimezone().strftime("%H:%M:%S.%f")
    ends = addresses(seen.data)
    who = f"{ends[0]} > {ends[1]}" if ends else "-"
    line = f"{at} {seen.direction:3} {who} {describe(seen.data)}"
    became = verdict(seen)
    return f"{line} [{became}]" if became else line


def _plain(seen: Seen) -> dict[str, str | int | None]:
    ends = addresses(seen.data)
    reason = seen.reason
    return {
        "kind": "frame",
        "at_ns": seen.at_ns,
        "direction": seen.direction,
        "source": str(ends[0]) if ends else None,
        "destination": str(ends[1]) if ends else None,
        "length": seen.length,
        "what": describe(seen.data),
        "action": None if reason is None else ACTION[reason].name.lower(),
        "reason": None if reason is None else reason.name,
    }


def _show_summary(summary: Summary, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"kind": "summary", **asdict(summary)}))
        return
    said = f"{summary.announcement_count} announcements and {summary.answer_count} answers sent"
    click.echo(f"{summary.frame_count} frames, {summary.lost_count} lost; {said}", err=True)


def _show_capturers(found: tuple[Capturer, ...], *, as_json: bool) -> None:
    if as_json:
        plain = [
            asdict(each) | {"adapter": str(each.adapter), "source": str(each.source)}
            for each in found
        ]
        click.echo(json.dumps({"capturers": plain}, indent=2))
        return
    if not found:
        click.echo("nobody says to be capturing")
    for each in found:
        since = datetime.fromtimestamp(each.since_ns / _NS_PER_S).astimezone()
        masked = "" if each.source == each.adapter else f", masked to {each.source}"
        click.echo(
            f"{each.user}@{each.machine} captures on {each.adapter}{masked},"
            f" bound {each.bound}, since {since:%Y-%m-%d %H:%M:%S}"
        )
