# SPDX-License-Identifier: Apache-2.0
"""The egress guard: the VMAC never leaves as a source, nor ARP that gives a virtual IP away."""

import dataclasses

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

from wlbs.core.address import Mac
from wlbs.core.guard import guard, mask
from wlbs.core.reason import Reason
from wlbs.core.table import FilterTable

VMAC = "02:bf:0a:00:00:01"
STATION = "52:00:00:00:00:11"
CLIENT = "52:00:00:00:00:99"
TO_CLIENT = IP(src="10.0.0.1", dst="192.0.2.77") / TCP()
VIP_AT_VMAC = ARP(op=2, hwsrc=VMAC, psrc="10.0.0.1", pdst="192.0.2.77")
VIP_AT_STATION = ARP(op=2, hwsrc=STATION, psrc="10.0.0.1", pdst="192.0.2.77")
DEDICATED_AT_STATION = ARP(op=2, hwsrc=STATION, psrc="10.0.0.11", pdst="192.0.2.77")


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (Ether(src=STATION, dst=CLIENT) / TO_CLIENT, Reason.GUARD_PASSED),
        (Ether(src=VMAC, dst=CLIENT) / TO_CLIENT, Reason.GUARD_MASKED),
        (Ether(src=STATION, dst=CLIENT) / VIP_AT_VMAC, Reason.GUARD_PASSED),
        (Ether(src=VMAC, dst=CLIENT) / VIP_AT_VMAC, Reason.GUARD_MASKED),
        (Ether(src=STATION, dst=CLIENT) / VIP_AT_STATION, Reason.GUARD_ARP_DROPPED),
        (Ether(src=VMAC, dst=CLIENT) / VIP_AT_STATION, Reason.GUARD_ARP_DROPPED),
        (Ether(src=STATION, dst=CLIENT) / DEDICATED_AT_STATION, Reason.GUARD_PASSED),
        (b"short", Reason.GUARD_PASSED),
    ],
)
def test_what_leaves_is_judged(
    tables: tuple[FilterTable, ...], frame: Packet | bytes, reason: Reason
) -> None:
    assert guard(tables[0], bytes(frame)).reason is reason


def test_a_masked_frame_comes_from_the_masked_mac(tables: tuple[FilterTable, ...]) -> None:
    masking = dataclasses.replace(tables[0], masked_mac=Mac.parse("02:01:0a:00:00:01"))
    leak = bytes(Ether(dst=CLIENT, src=VMAC) / TO_CLIENT)
    clean = bytes(Ether(dst=CLIENT, src="02:01:0a:00:00:01") / TO_CLIENT)
    assert mask(masking, leak, guard(masking, leak)) == clean
    assert mask(masking, clean, guard(masking, clean)) == clean
