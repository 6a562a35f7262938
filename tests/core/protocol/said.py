# SPDX-License-Identifier: Apache-2.0
"""Heartbeats for tests: what a host would say if nothing were the matter, with changes by name."""

import dataclasses
from typing import Final

from wlbs.core.address import Mac
from wlbs.core.cluster import Cluster
from wlbs.core.protocol.effects import State
from wlbs.core.protocol.events import Instant
from wlbs.core.protocol.wire import Echo, Heartbeat
from wlbs.core.rules import HostIndex

ONE, TWO, THREE = HostIndex(0), HostIndex(1), HostIndex(2)
MS: Final = 1_000_000
NONCE: Final = 0x1_0000_2000
"""More than 32 bits, so that what echoes cut off is there to be cut."""


def mac(host: HostIndex) -> Mac:
    """Return the station MAC of a host in these tests."""
    return Mac(bytes((0x52, 0, 0, 0, 0, 0x11 + host)))


def ms(milliseconds: float) -> Instant:
    """Return an instant so long after the tests' beginning."""
    return Instant(round(milliseconds * MS))


def echo(host: HostIndex, sequence: int, nonce: int = NONCE) -> Echo:
    """Return the echo of a host's heartbeat."""
    return Echo(host, nonce & 0xFFFFFFFF, sequence & 0xFFFFFFFF)


def said(cluster: Cluster, host: HostIndex, sequence: int = 1) -> Heartbeat:
    """Return a heartbeat of a converged host: all three take part, it has heard both others."""
    return Heartbeat(
        host=host,
        state=State.CONVERGED,
        boot_nonce=NONCE,
        sequence=sequence,
        configuration=cluster.configuration,
        target=0b111,
        echoes=tuple(echo(other, 1) for other in (ONE, TWO, THREE) if other != host),
        foreign=(0,) * (len(cluster.rules) + 1),
    )


def deaf(cluster: Cluster, host: HostIndex, sequence: int = 1) -> Heartbeat:
    """Return a heartbeat of a host that has heard nobody."""
    return dataclasses.replace(said(cluster, host, sequence), echoes=())


def odd(cluster: Cluster, host: HostIndex, sequence: int = 1) -> Heartbeat:
    """Return a heartbeat of a host with another configuration."""
    return dataclasses.replace(said(cluster, host, sequence), configuration=b"another.")


def stopped(cluster: Cluster, host: HostIndex, sequence: int = 1) -> Heartbeat:
    """Return a goodbye."""
    return dataclasses.replace(said(cluster, host, sequence), state=State.STOPPED, target=0)
