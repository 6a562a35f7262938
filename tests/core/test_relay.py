# SPDX-License-Identifier: Apache-2.0
"""Relaying: to whom the receiver sends a frame, how it goes on, and where its way ends.

Judged through the filter, as a host does it.
"""

import dataclasses

import pytest
from scapy.layers.inet import IP
from scapy.packet import Packet
from tests.core.test_filter import (
    CLIENT,
    ONE,
    SECOND,
    SEGMENT,
    STATION,
    SYN,
    THIRD,
    TWO,
    held,
    reason_for,
    relaying,
)

from wlbs.core.address import Mac
from wlbs.core.claim import Claim
from wlbs.core.filter import decide, rewrite
from wlbs.core.reason import Reason
from wlbs.core.rules import HostIndex
from wlbs.core.table import NOBODY, FilterTable, Mark


@pytest.fixture
def table(tables: tuple[FilterTable, ...]) -> FilterTable:
    """Return host 1's table, in which it owns and resolves everything."""
    return held(tables[0], ONE)


def relayed(packet: Packet, source: str, ttl: int = 64) -> Packet:
    """Return a packet as it comes to host 1 from another that relayed it."""
    packet = packet.copy()
    packet.src, packet.dst, packet[IP].ttl = source, STATION, ttl
    return packet


THREE = HostIndex(2)


def test_a_relayed_frame_is_the_owners_as_any_other(table: FilterTable) -> None:
    assert reason_for(relaying(table, TWO, ONE), relayed(SYN, SECOND)) is Reason.OWNER
    assert reason_for(relaying(table, TWO, THREE), relayed(SYN, SECOND)) is Reason.NOT_OWNER


@pytest.mark.parametrize("owner", [NOBODY, HostIndex(5)])
def test_nothing_is_relayed_to_who_takes_no_part(table: FilterTable, owner: HostIndex) -> None:
    reason = Reason.DISABLED if owner == NOBODY else Reason.NOT_OWNER
    assert reason_for(relaying(table, ONE, owner), SYN) is reason


def test_nothing_is_relayed_to_the_vmac(table: FilterTable) -> None:
    """Where hosts do not mask, all have it: what is sent there would be everybody's again."""
    loud = dataclasses.replace(relaying(table, ONE, TWO), station_macs=((TWO, table.vmac),))
    assert reason_for(loud, SYN) is Reason.NOT_OWNER


@pytest.mark.parametrize(
    ("owner", "following", "source", "relay_to"),
    [
        (ONE, TWO, SECOND, None),  # back to whom it came from
        (ONE, THREE, SECOND, THREE),
        (ONE, ONE, SECOND, None),  # nobody else
        (ONE, THREE, CLIENT, None),  # not from the receiver
        (THREE, TWO, SECOND, None),  # back again, and to the receiver
        (TWO, THREE, SECOND, THREE),  # a holder, while the receiver is the owner
        (THREE, ONE, SECOND, None),
    ],
)
def test_a_segment_that_nobody_claims_goes_on_to_the_next_holder(
    table: FilterTable,
    owner: HostIndex,
    following: HostIndex,
    source: str,
    relay_to: HostIndex | None,
) -> None:
    flagged = relaying(table, TWO, owner, Mark.FLAGGED, following)
    frame = bytes(relayed(SEGMENT, source))
    verdict = decide(flagged, frame, claim=Claim.NONE, lease_live=True)
    assert verdict.relay_to == relay_to
    assert verdict.reason is (Reason.UNCLAIMED if relay_to is None else Reason.RELAYED)
    if relay_to is None:
        return
    sent = rewrite(flagged, frame, verdict, lease_live=True)
    expected = SEGMENT.copy()
    expected.dst, expected.src, expected.ttl = THIRD, STATION, 63
    assert sent == bytes(expected)
    assert reason_for(flagged, frame, Claim.SOCKET) is Reason.CLAIMED


def test_the_receivers_own_sockets_are_asked_first(table: FilterTable) -> None:
    flagged = relaying(table, ONE, ONE, Mark.FLAGGED, THREE)
    assert reason_for(flagged, SEGMENT, Claim.SOCKET) is Reason.CLAIMED
    verdict = decide(flagged, bytes(SEGMENT), claim=Claim.NONE, lease_live=True)
    assert verdict.relay_to == THREE
    left = relaying(table, ONE, TWO, Mark.FLAGGED | Mark.EARLIER_HOLDER, THREE)
    assert decide(left, bytes(SEGMENT), claim=Claim.NONE, lease_live=True).relay_to == TWO


def test_the_first_relay_is_no_hop(table: FilterTable) -> None:
    others = relaying(table, ONE, TWO)
    verdict = decide(others, bytes(SYN), claim=Claim.NONE, lease_live=True)
    sent = rewrite(others, bytes(SYN), verdict, lease_live=True)
    assert sent == Mac.parse(SECOND).octets + Mac.parse(STATION).octets + bytes(SYN)[12:]


def test_a_chain_ends_at_the_receiver_and_with_the_time_to_live(table: FilterTable) -> None:
    receiving = relaying(table, ONE, TWO, Mark.FLAGGED, THREE)
    assert reason_for(receiving, relayed(SEGMENT, SECOND)) is Reason.UNCLAIMED
    holding = relaying(table, TWO, TWO, Mark.FLAGGED, THREE)
    assert reason_for(holding, relayed(SEGMENT, SECOND, ttl=2)) is Reason.RELAYED
    assert reason_for(holding, relayed(SEGMENT, SECOND, ttl=1)) is Reason.UNCLAIMED


def test_indices_only_rise_from_holder_to_holder(tables: tuple[FilterTable, ...]) -> None:
    second = dataclasses.replace(tables[1], station_mac=Mac.parse(STATION))
    falling = relaying(second, THREE, THREE, Mark.FLAGGED, ONE)
    assert reason_for(falling, relayed(SEGMENT, THIRD)) is Reason.UNCLAIMED
