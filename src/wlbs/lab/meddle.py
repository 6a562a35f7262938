# SPDX-License-Identifier: Apache-2.0
"""A program of its own: writes into a host's pinned maps again and again what should not be there.

Run as ``python -m wlbs.lab.meddle lease|flags|relays|deliveries PINS`` in the host's namespace,
where a sweep finds it. What an agent writes in between is overwritten within milliseconds. Knows
the layout of the maps. The products' own code has no branch for any of it.
"""

import os
import sys
import time
from pathlib import Path
from typing import Final

from wlbs.core.address import HOST_PRIORITY_MAX
from wlbs.core.rules import RULE_COUNT_MAX
from wlbs.datapath.layout import (
    BUCKETS_AT,
    BUCKETS_SIZE,
    COUNTER,
    LEASE,
    STATION_MACS_AT,
    STATION_MACS_SIZE,
)
from wlbs.lab.tables import put
from wlbs.linux import libbpf

EVERY_S: Final = 0.002
"""Short against a heartbeat's period, cheap enough beside the cluster."""

_FIRST: Final = bytes(4)
_NS_PER_MS: Final = 1_000_000
_FOREVER: Final = (1 << 64) - 1


def hold_lease(pins: Path) -> None:
    """Have the host's lease never run out."""
    descriptor = libbpf.open_pinned(pins / "lease")
    try:
        value = libbpf.lookup(descriptor, _FIRST, LEASE.size)
        assert value is not None, "an array has its first entry"
        _, *others = LEASE.unpack(value)
        libbpf.update(descriptor, _FIRST, LEASE.pack(_FOREVER, *others))
    finally:
        os.close(descriptor)


def clear_flags(pins: Path) -> None:
    """Take every mark off every bucket of the host's table."""

    def unmarked(data: bytearray) -> None:
        end = BUCKETS_AT + (RULE_COUNT_MAX + 1) * BUCKETS_SIZE
        data[BUCKETS_AT + 1 : end : 2] = bytes((end - BUCKETS_AT) // 2)

    put(pins, unmarked)


def mute_relays(pins: Path) -> None:
    """Leave the host nobody to relay to, however its agent has agreed on it with others."""

    def alone(data: bytearray) -> None:
        data[STATION_MACS_AT : STATION_MACS_AT + STATION_MACS_SIZE] = bytes(STATION_MACS_SIZE)

    put(pins, alone)


def count_deliveries(pins: Path) -> None:
    """Have the host count delivery probes of everybody without end, whoever's arrive."""
    descriptor = libbpf.open_pinned(pins / "delivery_probes")
    try:
        count = COUNTER.pack(time.monotonic_ns() // _NS_PER_MS)
        for index in range(HOST_PRIORITY_MAX):
            libbpf.update(descriptor, index.to_bytes(len(_FIRST), "little"), count)
    finally:
        os.close(descriptor)


MEDDLING: Final = {
    "lease": hold_lease,
    "flags": clear_flags,
    "relays": mute_relays,
    "deliveries": count_deliveries,
}


def main() -> None:
    """Meddle until killed; maps that are gone are waited for."""
    word, pins = sys.argv[1], Path(sys.argv[2])
    while True:
        if (pins / "tables").exists():
            MEDDLING[word](pins)
        time.sleep(EVERY_S)


if __name__ == "__main__":
    main()
