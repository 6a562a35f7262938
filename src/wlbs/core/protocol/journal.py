# SPDX-License-Identifier: Apache-2.0
"""Events and effects as lines of text, so that what a member did can be repeated and compared.

One JSON object a line: when, what, and its fields. The first line says whose journal it is. Events
can be read back; of an effect only its line is compared, and of a table in it only a digest. Knows
nothing of files.

The first line holds the cluster's secrets, for no heartbeat can be read without them.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from enum import Enum
from typing import Final

from wlbs.core.address import IpAddress, Mac
from wlbs.core.buckets import HashKey
from wlbs.core.census import Census
from wlbs.core.cluster import TIMINGS, Cluster, Healing, Host, Mode
from wlbs.core.protocol.effects import Effect
from wlbs.core.protocol.events import (
    BypassersFound,
    CarrierChanged,
    ConnectionsCounted,
    DeliveriesCounted,
    DrainstopRequested,
    Event,
    HeartbeatReceived,
    Instant,
    ProbeAnswered,
    StartRequested,
    StopRequested,
    TimerFired,
)
from wlbs.core.protocol.member import Member
from wlbs.core.protocol.speaking import Incarnation
from wlbs.core.rules import Affinity, FilteringMode, HostIndex, PortRule, Protocol
from wlbs.core.sighting import Bypass, Bypasser, FrameKind, Sender, Sighting, Where
from wlbs.core.table import FilterTable

Plain = str | int | bool | None | list["Plain"] | dict[str, "Plain"]

FORMAT: Final = 1


class JournalError(ValueError):
    """A line that is no line of a journal; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """Whose journal it is: all that a member is made of."""

    cluster: Cluster
    own: HostIndex
    incarnation: Incarnation
    at: Instant

    def member(self) -> Member:
        """Return the member as it was at its beginning."""
        return Member(self.cluster, self.own, self.incarnation, self.at)


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a member that is fed the same events does something else."""

    line: int
    written: tuple[str, ...]
    repeated: tuple[str, ...]


def event_line(event: Event, at: Instant) -> str:
    """Return an event as its line."""
    return json.dumps({"at": at, "event": type(event).__name__, **_fields_of(event)})


def effect_line(effect: Effect) -> str:
    """Return an effect as its line."""
    return json.dumps({"effect": type(effect).__name__, **_fields_of(effect)})


def beginning_line(beginning: Beginning) -> str:
    """Return the first line of a journal."""
    cluster, incarnation = beginning.cluster, beginning.incarnation
    return json.dumps(
        {
            "journal": FORMAT,
            "at": beginning.at,
            "own": beginning.own,
            "incarnation": _fields_of(incarnation),
            "name": cluster.name,
            "mode": cluster.mode,
            "vips": _plain(cluster.vips),
            "hosts": [_fields_of(host) for host in cluster.hosts],
            "rules": [_rule_fields(rule) for rule in cluster.rules],
            "key": cluster.key.octets.hex(),
            "heartbeat_key": cluster.heartbeat_key.hex(),
            "timing": cluster.timing.name,
            "masks_source": cluster.masks_source,
            "healing": sorted(cluster.healing),
        }
    )


def read_beginning(line: str) -> Beginning:
    """Read the first line; JournalError if it is none that this version can read."""
    try:
        said = json.loads(line)
        if said["journal"] != FORMAT:
            message = f"line 1: a journal of format {said['journal']}, not {FORMAT}"
            raise JournalError(message)
        incarnation = said["incarnation"]
        return Beginning(
            Cluster(
                name=said["name"],
                mode=Mode(said["mode"]),
                vips=tuple(map(IpAddress.parse, said["vips"])),
                hosts=tuple(
                    Host(h["priority"], h["name"], IpAddress.parse(h["dedicated_ip"]))
                    for h in said["hosts"]
                ),
                rules=tuple(map(_read_rule, said["rules"])),
                key=HashKey(bytes.fromhex(said["key"])),
                heartbeat_key=bytes.fromhex(said["heartbeat_key"]),
                timing=TIMINGS[said["timing"]],
                masks_source=bool(said["masks_source"]),
                healing=frozenset(map(Healing, said["healing"])),
            ),
            HostIndex(said["own"]),
            Incarnation(
                Mac.parse(incarnation["own_mac"]),
                incarnation["boot_nonce"],
                incarnation["is_fresh"],
            ),
            Instant(said["at"]),
        )
    except (KeyError, TypeError, AttributeError, AssertionError) as error:
        message = f"line 1: not the beginning of a journal: {error!r}"
        raise JournalError(message) from error
    except ValueError as error:
        message = f"line 1: {error}"
        raise JournalError(message) from error


def replay(lines: Iterable[str]) -> Iterator[Difference]:
    """Feed the events to a fresh member, and yield where its effects differ from those written.

    JournalError names the line that cannot be read. A last line that was cut off is left out.
    """
    numbered = [(n, text) for n, text in enumerate(lines, start=1) if text.endswith("\n")]
    if not numbered:
        message = "line 1: the journal is empty"
        raise JournalError(message)
    member = read_beginning(numbered[0][1]).member()
    event: tuple[int, Event, Instant] | None = None
    written: list[str] = []
    for number, text in numbered[1:]:
        said = _read_object(number, text)
        if "effect" in said:
            written.append(text.rstrip("\n"))
            continue
        yield from _compared(member, event, written)
        event, written = (number, *_event_of(number, said)), []
    yield from _compared(member, event, written)


def _compared(
    member: Member, event: tuple[int, Event, Instant] | None, written: list[str]
) -> Iterator[Difference]:
    if event is None:
        return
    number, happened, at = event
    repeated = tuple(map(effect_line, member.handle(happened, at)))
    if repeated != tuple(written):
        yield Difference(number, tuple(written), repeated)


def _read_object(number: int, text: str) -> dict[str, Plain]:
    try:
        said = json.loads(text)
    except ValueError as error:
        message = f"line {number}: not JSON: {error}"
        raise JournalError(message) from error
    if not isinstance(said, dict):
        message = f"line {number}: not an object"
        raise JournalError(message)
    return said


def _event_of(number: int, said: dict[str, Plain]) -> tuple[Event, Instant]:
    """Read an event; JournalError also where a field of it is no address or no octets."""
    try:
        return _read_event(number, said)
    except JournalError:
        raise
    except ValueError as error:
        message = f"line {number}: {error}"
        raise JournalError(message) from error


def _read_event(  # noqa: PLR0911 - one return for each kind of event
    number: int, said: dict[str, Plain]
) -> tuple[Event, Instant]:
    match said:
        case {"at": int(at), "event": str(name), **rest} if name in _SIMPLE and not rest:
            return _SIMPLE[name], Instant(at)
        case {"at": int(at), "event": "HeartbeatReceived", "source": str(mac), "data": str(data)}:
            return HeartbeatReceived(Mac.parse(mac), bytes.fromhex(data)), Instant(at)
        case {"at": int(at), "event": "ProbeAnswered", "data": str(data)}:
            return ProbeAnswered(bytes.fromhex(data)), Instant(at)
        case {"at": int(at), "event": "CarrierChanged", "up": bool(up)}:
            return CarrierChanged(up), Instant(at)
        case {
            "at": int(at),
            "event": "ConnectionsCounted",
            "census": {
                "foreign": [*foreign],
                "connection_count": int(connections),
                "foreign_count": int(foreigners),
            },
        }:
            maps = tuple(each for each in foreign if isinstance(each, int))
            return ConnectionsCounted(Census(maps, connections, foreigners)), Instant(at)
        case {"at": int(at), "event": "BypassersFound", "bypassers": [*bypassers]}:
            return BypassersFound(tuple(map(_read_bypasser, bypassers))), Instant(at)
        case {
            "at": int(at),
            "event": "DeliveriesCounted",
            "arrived": [*arrived],
            "sightings": [*sightings],
            "has_witness": bool(has_witness),
        }:
            counts = tuple(each for each in arrived if isinstance(each, int))
            seen = tuple(map(_read_sighting, sightings))
            return DeliveriesCounted(counts, seen, has_witness), Instant(at)
        case _:
            message = f"line {number}: neither an event nor an effect"
            raise JournalError(message)


_SIMPLE: Final[dict[str, Event]] = {
    type(each).__name__: each
    for each in (TimerFired(), StartRequested(), StopRequested(), DrainstopRequested())
}


def _read_sighting(said: Plain) -> Sighting:
    match said:
        case {
            "where": str(where),
            "kind": {"ethertype": int(ethertype), "llc": str(llc)},
            "destination": str(destination),
            "count": int(count),
            "first": int(first),
            "last": int(last),
            "sender": sender,
        }:
            return Sighting(
                Where[where],
                FrameKind(ethertype, bytes.fromhex(llc)),
                Mac.parse(destination),
                count,
                Instant(first),
                Instant(last),
                _read_sender(sender),
            )
        case _:
            message = f"not a sighting: {said}"
            raise ValueError(message)


def _read_bypasser(said: Plain) -> Bypasser:
    match said:
        case {"sender": sender, "bypass": str(bypass)}:
            named = _read_sender(sender)
            if named is not None:
                return Bypasser(named, Bypass[bypass])
    message = f"not a bypasser: {said}"
    raise ValueError(message)


def _read_sender(said: Plain) -> Sender | None:
    match said:
        case {
            "name": str() | None as name,
            "process": int() | None as process,
            "socket": int() | None as socket,
        }:
            return Sender(name, process, socket)
        case _:
            return None


def _fields_of(
    value: Event | Effect | Incarnation | Host | Census | Sighting | Bypasser | FrameKind | Sender,
) -> dict[str, Plain]:
    return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}


def _plain(value: object) -> Plain:  # noqa: PLR0911 - one return for each kind of value
    """Return a field as JSON has it; a table as its digest."""
    match value:
        case FilterTable():
            return _digest(value)
        case Enum():
            return str(value.name)
        case bool() | int() | str() | None:
            return value
        case bytes():
            return value.hex()
        case Mac() | IpAddress():
            return str(value)
        case frozenset():
            return [_plain(each) for each in sorted(value)]
        case tuple() | list():
            return [_plain(each) for each in value]
        case Census() | Sighting() | Bypasser() | FrameKind() | Sender():
            return dict(_fields_of(value))
        case _:
            message = f"a journal has no words for {type(value).__name__}"
            raise TypeError(message)


def _digest(table: FilterTable) -> str:
    """Return what tells one table from another of the same member."""
    digest = hashlib.blake2b(digest_size=8)
    for each in table.buckets:
        digest.update(each.owners)
        digest.update(each.marks)
    for vip in table.vips:
        digest.update(vip.address.octets + bytes((vip.resolver, vip.everyone_answers)))
    digest.update(bytes((table.is_stopped,)))
    if table.receiver is not None:
        digest.update(bytes((table.receiver,)))
        for host, mac in table.station_macs:
            digest.update(bytes((host,)) + mac.octets)
    return digest.hexdigest()


def _rule_fields(rule: PortRule) -> dict[str, Plain]:
    return {
        "vip": str(rule.vip) if rule.vip else None,
        "ports": [rule.first_port, rule.last_port],
        "protocol": int(rule.protocol),
        "mode": int(rule.mode),
        "affinity": int(rule.affinity),
        "load_weights": [[int(host), weight] for host, weight in sorted(rule.load_weights.items())],
    }


def _read_rule(said: dict[str, Plain]) -> PortRule:
    match said:
        case {
            "vip": str() | None as vip,
            "ports": [int(first), int(last)],
            "protocol": int(protocol),
            "mode": int(mode),
            "affinity": int(affinity),
            "load_weights": list() as weights,
        }:
            return PortRule(
                first,
                last,
                Protocol(protocol),
                IpAddress.parse(vip) if vip else None,
                FilteringMode(mode),
                Affinity(affinity),
                {HostIndex(int(host)): int(weight) for host, weight in weights},
            )
        case _:
            message = f"not a port rule: {said}"
            raise ValueError(message)
