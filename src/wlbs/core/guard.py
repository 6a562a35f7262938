# SPDX-License-Identifier: Apache-2.0
"""The egress guard: what a host does with a frame it is about to send.

The specification of ``datapath/bpf/egress.h``. Knows three rules. No frame leaves with the VMAC as
its source (guarantee S3): a switch that learned it would send the whole cluster's traffic to one
port (KB Q258609). No ARP leaves that names a virtual IP with another hardware address: a client
that believed it would pin itself to one host. And no ARP or neighbour discovery of the host's own
addresses names the VMAC: others then reach this host alone by its masked address, as they could
not while all interfaces have one (KB Q197864). Where hosts are told not to mask, for a hub (KB
Q193602), only the second rule is left. Knows nothing of who sent the frame.
"""

from wlbs.core.address import MAC_SIZE
from wlbs.core.checksum import replace_in_sum
from wlbs.core.filter import Verdict
from wlbs.core.frame import (
    ARP_SENDER_MAC_AT,
    ICMP6_CHECKSUM_AT,
    Arp,
    EtherType,
    Malformed,
    neighbour_options,
    parse,
)
from wlbs.core.reason import Action, Reason
from wlbs.core.table import FilterTable


def guard(table: FilterTable, data: bytes) -> Verdict:
    """Return what becomes of an outgoing frame; total over all bytes, never raises."""
    frame = parse(data)
    if isinstance(frame, Malformed):
        return Verdict(Reason.GUARD_PASSED)
    arp = frame.payload
    if isinstance(arp, Arp) and table.vip(arp.sender_ip) and arp.sender_mac != table.vmac:
        return Verdict(Reason.GUARD_ARP_DROPPED)
    if table.masked_mac == table.vmac:
        return Verdict(Reason.GUARD_PASSED)
    if _places(table, data):
        return Verdict(Reason.GUARD_NEIGHBOUR_MASKED)
    return Verdict(Reason.GUARD_MASKED if frame.source == table.vmac else Reason.GUARD_PASSED)


def mask(table: FilterTable, data: bytes, verdict: Verdict) -> bytes:
    """Return an outgoing frame as it leaves after its verdict."""
    if verdict.action is not Action.MASK:
        return data
    vmac, masked = table.vmac.octets, table.masked_mac.octets
    is_ours = data[MAC_SIZE : 2 * MAC_SIZE] == vmac
    frame = bytearray(data)
    if is_ours:
        frame[MAC_SIZE : 2 * MAC_SIZE] = masked
    for at in _places(table, data):
        frame[at : at + MAC_SIZE] = masked
        if at != ARP_SENDER_MAC_AT:
            replace_in_sum(frame, ICMP6_CHECKSUM_AT, vmac, masked)
    return bytes(frame)


def _places(table: FilterTable, data: bytes) -> tuple[int, ...]:
    """Return where a frame names the VMAC as that of an address of the host's own."""
    frame = parse(data)
    if isinstance(frame, Malformed):
        return ()
    arp = frame.payload
    if isinstance(arp, Arp):
        is_own = arp.sender_mac == table.vmac and table.vip(arp.sender_ip) is None
        return (ARP_SENDER_MAC_AT,) if is_own else ()
    if frame.ethertype != EtherType.IPV6:
        return ()
    return tuple(
        at for at in neighbour_options(data) if data[at : at + MAC_SIZE] == table.vmac.octets
    )
