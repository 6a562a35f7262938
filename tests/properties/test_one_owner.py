# SPDX-License-Identifier: Apache-2.0
"""The law: whatever the rules, weights and hosts present, exactly one host keeps a new flow.

Frames are built by scapy. Later fragments and traffic that no host takes are the stated
exceptions; here neither is drawn, save weights that are all zero.
"""

from hypothesis import event, given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether
from tests.core.protocol.bus import Bus

from wlbs.core.address import IpAddress, Mac
from wlbs.core.allocation import resolver
from wlbs.core.buckets import HashKey
from wlbs.core.claim import Claim
from wlbs.core.cluster import Cluster, Host, Mode
from wlbs.core.filter import decide
from wlbs.core.invariants import judge_owners
from wlbs.core.protocol.holdings import Holdings
from wlbs.core.protocol.shares import Shares, target_of
from wlbs.core.reason import Reason
from wlbs.core.rules import Affinity, HostIndex, PortRule, Protocol
from wlbs.core.table import FilterTable, Vip

VIPS = ("10.0.0.1", "10.0.0.2")
CLIENT_MAC = "52:00:00:00:00:99"
FIXED = settings(derandomize=True, deadline=None, max_examples=40, database=None)

PORTS = st.one_of(st.sampled_from([0, 53, 80, 443, 65535]), st.integers(0, 65535))


@st.composite
def clusters(draw: st.DrawFn) -> Cluster:
    """Draw two to five hosts and up to three rules that do not overlap."""
    priorities = draw(st.lists(st.integers(1, 64), min_size=2, max_size=5, unique=True))
    rules: list[PortRule] = []
    for _ in range(draw(st.integers(0, 3))):
        first, last = sorted((draw(PORTS), draw(PORTS)))
        weights = draw(st.lists(st.integers(0, 100), min_size=5, max_size=5))
        rule = PortRule(
            first,
            last,
            draw(st.sampled_from(Protocol)),
            draw(st.sampled_from([None, *map(IpAddress.parse, VIPS)])),
            affinity=draw(st.sampled_from(Affinity)),
            load_weights={
                HostIndex(priority - 1): weight
                for priority, weight in zip(priorities, weights, strict=False)
            },
        )
        if not any(rule.overlaps(other) for other in rules):
            rules.append(rule)
    return Cluster(
        name="drawn",
        mode=Mode.STEALTH,
        vips=tuple(map(IpAddress.parse, VIPS)),
        hosts=tuple(Host(each, f"h{each}", IpAddress.from_v4(each)) for each in priorities),
        rules=tuple(rules),
        key=HashKey(draw(st.binary(min_size=16, max_size=16))),
        heartbeat_key=b"drawn",
    )


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """Draw a frame to a virtual IP: TCP, UDP, ICMP, another protocol, or an ARP request."""
    client = str(IpAddress.from_v4(draw(st.integers(0x0B000000, 0xDFFFFFFF))))
    vip = draw(st.sampled_from(VIPS))
    kind = draw(st.sampled_from(["tcp", "udp", "icmp", "gre", "arp"]))
    if kind == "arp":
        request = ARP(op=1, hwsrc=CLIENT_MAC, psrc=client, pdst=vip)
        return bytes(Ether(dst="ff:ff:ff:ff:ff:ff", src=CLIENT_MAC) / request)
    source, destination = draw(PORTS), draw(PORTS)
    payload = {
        "tcp": TCP(
            flags=draw(st.sampled_from(["S", "A", "SA", "R", "F"])), sport=source, dport=destination
        ),
        "udp": UDP(sport=source, dport=destination),
        "icmp": ICMP(),
        "gre": b"gre",
    }[kind]
    packet = IP(src=client, dst=vip, proto=47) if kind == "gre" else IP(src=client, dst=vip)
    return bytes(Ether(dst="02:bf:0a:00:00:01", src=CLIENT_MAC) / packet / payload)


def tables_of(cluster: Cluster, absent: set[HostIndex]) -> list[FilterTable]:
    """Return the tables of the present hosts, once they have converged and nothing is flagged."""
    present = {host.index for host in cluster.hosts} - absent
    return [table_of(cluster, own, present) for own in sorted(present)]


def table_of(cluster: Cluster, own: HostIndex, present: set[HostIndex]) -> FilterTable:
    """Return what a member installs that holds its whole share."""
    shares, target = Shares(cluster), target_of(present)
    holdings = Holdings(shares, own, (), is_fresh=True)
    holdings.settle(shares.due(target, own), shares.none, acknowledged=True)
    station = Mac(bytes((2, 0, 0, 0, 0, own)))
    return FilterTable(
        own=own,
        vmac=cluster.vmac,
        station_mac=station,
        masked_mac=station,
        key=cluster.key,
        vips=tuple(
            Vip(vip, resolver(cluster.key, vip, frozenset(present))) for vip in cluster.vips
        ),
        rules=cluster.rules,
        buckets=holdings.buckets(target),
    )


@FIXED
@given(cluster=clusters(), data=st.data())
def test_exactly_one_present_host_keeps_each_new_flow(
    cluster: Cluster, data: st.DataObject
) -> None:
    indices = sorted(host.index for host in cluster.hosts)
    absent = data.draw(st.sets(st.sampled_from(indices), max_size=len(indices) - 1))
    tables = tables_of(cluster, absent)
    for frame in data.draw(st.lists(frames(), min_size=1, max_size=8)):
        reasons = {decide(each, frame, claim=Claim.NONE, lease_live=True).reason for each in tables}
        event(str(sorted(reason.name for reason in reasons)))
        assert judge_owners(tables, frame) == ()
        # What is disabled is disabled everywhere, or the law would be empty words.
        assert Reason.DISABLED not in reasons or reasons == {Reason.DISABLED}


@settings(FIXED, max_examples=12)
@given(cluster=clusters(), data=st.data())
def test_a_host_that_left_and_returned_leaves_one_owner_for_what_is_new(
    cluster: Cluster, data: st.DataObject
) -> None:
    """Flags concern segments of connections; a bare SYN goes by the owner, as ever."""
    moved = data.draw(st.sampled_from(sorted(host.priority for host in cluster.hosts)))
    names = tuple(f"h{host.priority}" for host in cluster.hosts)
    bus = Bus(cluster)
    bus.add(*(host.priority for host in cluster.hosts))
    bus.start()
    bus.run_until(lambda: bus.is_exact(*names, flagged=True), within_ms=600)
    bus.stop(f"h{moved}")
    bus.run(500)
    bus.start(f"h{moved}")
    bus.run_until(lambda: bus.is_exact(*names, flagged=True), within_ms=600)
    tables = [bus[name].table for name in names]
    event(f"marked: {any(any(each.marks) for table in tables for each in table.buckets)}")
    for frame in data.draw(st.lists(frames(), min_size=1, max_size=8)):
        parsed_flags = frame[47] if frame[12:14] == b"\x08\x00" and frame[23] == 6 else None
        if parsed_flags in {None, 0x02}:
            assert judge_owners(tables, frame) == ()
