# SPDX-License-Identifier: Apache-2.0
"""Sending on what another host may keep, where one host receives for all.

The second half of the filter's specification; its eBPF twin is ``datapath/bpf/relay.h``. Knows to
whom a frame goes and what is changed in it on the way. Knows nothing of how a frame was judged
before, nor of how hosts agree on who receives.

Where the segment does not flood, one host alone gets what is sent to the VMAC: the *receiver*. It
keeps its own and relays the rest, each frame to the bucket's owner by the owner's own address. All
others take relayed frames only, and drop what comes from the segment: it was, or will be, relayed
too. A segment that nobody claims at the owner of a flagged bucket goes on from one possible holder
to the next, whose indices only rise; the end is silence, not a reset. Hosts whose tables disagree
may each take another for the owner, so indices alone do not bring every chain to its end: whoever
sends on what was relayed already takes one off the packet's time to live, as any router does.
"""

from wlbs.core.address import MAC_SIZE
from wlbs.core.checksum import replace_in_sum
from wlbs.core.frame import IPV4_CHECKSUM_AT, IPV4_TTL_AT, Frame, Packet
from wlbs.core.reason import Reason
from wlbs.core.rules import HostIndex
from wlbs.core.table import Bucket, FilterTable


def relay_target(
    table: FilterTable, frame: Frame, packet: Packet, bucket: Bucket, reason: Reason
) -> HostIndex | None:
    """Return who gets what this host does not keep, for this reason; None if nobody.

    The receiver relays to the owner; where it is the owner itself, to the first holder. Nobody
    sends back to the receiver, whose sockets were asked before all, nor to whom it came from.
    """
    if reason not in {Reason.NOT_OWNER, Reason.UNCLAIMED}:
        return None
    to = bucket.next_holder
    if frame.destination == table.vmac:
        to = to if bucket.owner == table.own else bucket.owner
    elif reason is Reason.NOT_OWNER or not _goes_on(table, frame, packet, bucket):
        return None
    if to in {table.own, table.receiver}:
        return None
    return None if table.station_of(to) in {None, table.vmac, frame.source} else to


def _goes_on(table: FilterTable, frame: Frame, packet: Packet, bucket: Bucket) -> bool:
    """Whether a relayed segment that nobody claims here goes on to the next holder.

    From the owner it does if it came from the receiver; from a holder if the next is further up.
    What comes back to the receiver has been everywhere.
    """
    if packet.ttl <= 1 or table.receiver == table.own:
        return False
    if bucket.owner == table.own:
        return frame.source == table.station_of(table.receiver)
    return bucket.next_holder > table.own


def send_on(table: FilterTable, data: bytes, to: HostIndex | None) -> bytes:
    """Return a frame as it is sent on; from the second time on that is a hop like a router's."""
    target = table.station_of(to)
    assert target is not None, "only a host with an address is relayed to"
    frame = bytearray(target.octets + table.masked_mac.octets + data[2 * MAC_SIZE :])
    if data[:MAC_SIZE] != table.vmac.octets:
        frame[IPV4_TTL_AT] -= 1
        changed = slice(IPV4_TTL_AT, IPV4_TTL_AT + 2)
        replace_in_sum(frame, IPV4_CHECKSUM_AT, data[changed], bytes(frame[changed]))
    return bytes(frame)
