# SPDX-License-Identifier: Apache-2.0
"""IGMP is spoken as others read it, and what is not IGMP is not taken for it."""

from scapy.layers.igmp import IGMP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from wlbs.core.address import IpAddress, Mac
from wlbs.scenario.topology import Topology
from wlbs.sim.igmp import RESPONSE_NS_MAX, Groups, Kind, Message, group_mac, query, read
from wlbs.sim.prng import Prng
from wlbs.sim.schedule import Schedule

GROUP = IpAddress.parse("239.255.0.100")
NODE = Topology().hosts[0]
QUERIER = Mac.parse("06:00:00:00:04:01")


def begun() -> tuple[Schedule, Groups, list[bytes]]:
    schedule, sent = Schedule(), list[bytes]()
    return schedule, Groups(schedule, Prng(1, "groups"), NODE, sent.append), sent


def read_by_another(data: bytes) -> tuple[Ether, IP, IGMP]:
    frame = Ether(data)
    header = IP(bytes(frame.payload))
    message = IGMP(bytes(header.payload))
    for layer, parsed in ((IP, header), (IGMP, message)):
        again = layer(bytes(parsed))
        del again.chksum
        assert layer(bytes(again)).chksum == parsed.chksum
    return frame, header, message


def test_a_member_says_that_it_has_joined_and_that_it_has_left() -> None:
    _, groups, sent = begun()
    groups.join(GROUP)
    groups.join(GROUP)
    groups.leave(GROUP)
    groups.leave(GROUP)
    joined, left = sent
    frame, header, message = read_by_another(joined)
    assert (frame.src, frame.dst) == (str(NODE.mac), "01:00:5e:7f:00:64")
    assert (header.src, header.dst, header.ttl) == (str(NODE.address), str(GROUP), 1)
    assert (message.type, message.gaddr) == (0x16, str(GROUP))
    frame, header, message = read_by_another(left)
    assert (frame.dst, header.dst) == ("01:00:5e:00:00:02", "224.0.0.2")
    assert (message.type, message.gaddr) == (0x17, str(GROUP))


def test_a_query_asks_everybody_for_every_group() -> None:
    frame, header, message = read_by_another(query(QUERIER))
    assert (frame.src, frame.dst) == (str(QUERIER), "01:00:5e:00:00:01")
    assert (header.src, header.dst) == ("0.0.0.0", "224.0.0.1")  # noqa: S104 - an address in a header
    assert (message.type, message.gaddr, message.mrcode) == (0x11, "0.0.0.0", 100)  # noqa: S104


def test_a_query_is_answered_for_each_group_within_the_time_it_gives() -> None:
    schedule, groups, sent = begun()
    groups.join(GROUP)
    groups.join(IpAddress.parse("239.255.0.101"))
    sent.clear()
    assert groups.receive(query(QUERIER))
    groups.leave(GROUP)
    schedule.run_until(RESPONSE_NS_MAX)
    answers = [message for data in sent if (message := read(data))]
    assert answers == [
        Message(Kind.LEAVE, GROUP),
        Message(Kind.REPORT, IpAddress.parse("239.255.0.101")),
    ]


def test_what_is_no_message_is_not_read() -> None:
    _, groups, sent = begun()
    groups.join(GROUP)
    (report,) = sent
    other = bytes(Ether() / IP(src="10.9.0.1", dst="10.9.0.2") / UDP())
    broken = report[:-1] + bytes((report[-1] ^ 1,))
    unknown = bytes(Ether() / IP(proto=2, dst="224.0.0.22") / IGMP(type=0x30))
    for data in (b"runt", other, broken, unknown, report[:40]):
        assert read(data) is None
        assert not groups.receive(data)
    assert read(report) == Message(Kind.REPORT, GROUP)


def test_groups_that_differ_in_their_upper_bits_share_an_address() -> None:
    assert group_mac(IpAddress.parse("224.127.0.100")) == group_mac(GROUP)
