# SPDX-License-Identifier: Apache-2.0
"""The egress guard: what a host does with a frame it is about to send.

The specification of ``datapath/bpf/guard.bpf.c``. Knows two rules. No frame leaves with the VMAC
as its source (guarantee S3): a switch that learned it would send the whole cluster's traffic to
one port (KB Q258609). And no ARP leaves that names a virtual IP with another hardware address:
a client that believed it would pin itself to one host. Knows nothing of who sent the frame.
"""

from wlbs.core.filter import Verdict
from wlbs.core.frame import Arp, Malformed, parse
from wlbs.core.reason import Reason
from wlbs.core.table import FilterTable


def guard(table: FilterTable, data: bytes) -> Verdict:
    """Return what becomes of an outgoing frame; total over all bytes, never raises."""
    frame = parse(data)
    if isinstance(frame, Malformed):
        return Verdict(Reason.GUARD_PASSED)
    arp = frame.payload
    if isinstance(arp, Arp) and table.vip(arp.sender_ip) and arp.sender_mac != table.vmac:
        return Verdict(Reason.GUARD_ARP_DROPPED)
    if frame.source == table.vmac:
        return Verdict(Reason.GUARD_MASKED)
    return Verdict(Reason.GUARD_PASSED)
