# SPDX-License-Identifier: Apache-2.0
"""What is meddled with in a host's maps is decided by from then on."""

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from wlbs.core.address import IpAddress, Mac
from wlbs.core.buckets import BUCKET_COUNT, HashKey
from wlbs.core.protocol.events import Instant
from wlbs.core.reason import Reason
from wlbs.core.rules import DEFAULT_RULE, HostIndex
from wlbs.core.table import Buckets, FilterTable, Mark, Vip
from wlbs.datapath.loader import Datapath
from wlbs.lab import meddle
from wlbs.linux import bpffs, libbpf
from wlbs.linux.clock import now

OWN, OTHER = HostIndex(0), HostIndex(1)
VMAC, STATION = Mac.parse("02:bf:0a:00:00:01"), Mac.parse("02:00:00:00:00:01")
HOUR_NS = 3_600_000_000_000
PINGED = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28, 0, 0, 64, 1, 0, b"\x0b\0\0\1", b"\x0a\0\0\1")
PING = VMAC.octets + b"\2\0\0\0\0\x99\x08\0" + PINGED + b"\x08" + bytes(25)


@pytest.fixture
def receiving() -> Iterator[tuple[Path, Datapath]]:
    """Yield a data path that relays every frame to another host, with its pins."""
    if os.geteuid() != 0 and not os.environ.get("STRICT"):
        pytest.skip("programs are loaded by root")
    bpffs.ensure_mounted()
    pins = bpffs.DIRECTORY / f"wlbs-test-{os.getpid()}"
    datapath = Datapath.load(pins)
    try:
        flagged = Buckets(bytes((OTHER,)) * BUCKET_COUNT, bytes((Mark.FLAGGED,)) * BUCKET_COUNT)
        datapath.install(
            FilterTable(
                own=OWN,
                vmac=VMAC,
                station_mac=STATION,
                masked_mac=STATION,
                key=HashKey(bytes(16)),
                vips=(Vip(IpAddress.parse("10.0.0.1"), OWN),),
                rules=(),
                buckets=(flagged,),
                receiver=OWN,
                station_macs=((OTHER, Mac.parse("02:00:00:00:00:02")),),
            )
        )
        datapath.hold_lease(Instant(now() + HOUR_NS))
        yield pins, datapath
    finally:
        datapath.remove()


def reason_of(datapath: Datapath) -> Reason:
    """Return the reason by which a ping to the cluster is decided."""
    before = datapath.counters()
    libbpf.FrameRunner(datapath.descriptor("wlbs_filter")).run(PING)
    (reason,) = (each for each, count in datapath.counters().items() if count > before[each])
    return reason


def test_a_host_whose_relays_are_muted_relays_nothing(receiving: tuple[Path, Datapath]) -> None:
    pins, datapath = receiving
    assert reason_of(datapath) is Reason.RELAYED
    meddle.mute_relays(pins)
    assert reason_of(datapath) is Reason.NOT_OWNER
    installed = datapath.installed()
    assert installed is not None
    assert installed.receiver == OWN


def test_flags_that_were_cleared_are_gone(receiving: tuple[Path, Datapath]) -> None:
    pins, datapath = receiving
    meddle.clear_flags(pins)
    installed = datapath.installed()
    assert installed is not None
    assert installed.buckets(DEFAULT_RULE).flagged_count == 0
