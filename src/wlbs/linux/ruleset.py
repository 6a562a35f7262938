# SPDX-License-Identifier: Apache-2.0
"""Which ports the packet filter of the caller's network namespace sends elsewhere (DNAT).

Knows nft's JSON as far as needed to find a destination port beside a ``dnat`` or ``redirect``
(libnftables-json(5)). A host without nft, or with a ruleset that has none, yields nothing: this
serves a warning, not a decision.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from typing import Final

_TIMEOUT_S: Final = 5.0
_DIVERSIONS: Final = frozenset({"dnat", "redirect"})


def diverted_ports() -> frozenset[int]:
    """Return the destination ports that some rule translates."""
    if shutil.which("nft") is None:
        return frozenset()
    try:
        done = subprocess.run(
            ["nft", "-j", "list", "ruleset"],
            check=True,
            capture_output=True,
            timeout=_TIMEOUT_S,
        )
        return diverted_ports_in(done.stdout)
    except (subprocess.SubprocessError, OSError, ValueError):
        return frozenset()


def diverted_ports_in(text: bytes) -> frozenset[int]:
    """Return the same from a ruleset as nft prints it."""
    return frozenset(
        port
        for entry in json.loads(text).get("nftables", ())
        if "rule" in entry
        for port in _ports(entry["rule"].get("expr", ()))
    )


def _ports(expressions: list[dict[str, object]]) -> Iterator[int]:
    if not any(word in each for each in expressions for word in _DIVERSIONS):
        return
    for each in expressions:
        match each.get("match"):
            case {"left": {"payload": {"field": "dport"}}, "right": right}:
                yield from _numbers(right)
            case _:
                continue


def _numbers(right: object) -> Iterator[int]:
    match right:
        case int():
            yield right
        case {"set": list(members)}:
            for member in members:
                yield from _numbers(member)
        case {"range": [int(first), int(last)]}:
            yield from range(first, last + 1)
        case _:
            return
