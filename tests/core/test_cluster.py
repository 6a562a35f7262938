# SPDX-License-Identifier: Apache-2.0
"""The configured cluster: its primary address, its MAC, and its hosts by index."""

import dataclasses

import pytest

from wlbs.core.address import IpAddress, Mac
from wlbs.core.buckets import HashKey
from wlbs.core.cluster import TIMINGS, Cluster, Healing, Host, Mode
from wlbs.core.rules import Affinity, HostIndex, Protocol


def test_the_first_virtual_ip_is_the_primary_and_gives_the_mac(cluster: Cluster) -> None:
    assert str(cluster.primary) == "10.0.0.1"
    assert str(cluster.vmac) == "02:bf:0a:00:00:01"


def test_in_mode_igmp_hosts_join_a_group_whose_address_is_the_vmac(cluster: Cluster) -> None:
    igmp = dataclasses.replace(cluster, mode=Mode.IGMP)
    assert (str(igmp.group), str(igmp.vmac)) == ("239.255.0.1", "01:00:5e:7f:00:01")
    assert cluster.group is None
    sixth = dataclasses.replace(igmp, vips=(IpAddress.parse("2001:db8::1"),))
    assert sixth.group is None


@pytest.mark.parametrize(
    ("mode", "vmac", "heartbeats"),
    [
        (Mode.STEALTH, "02:bf:0a:00:00:01", "ff:ff:ff:ff:ff:ff"),
        (Mode.UNICAST, "02:bf:0a:00:00:01", "ff:ff:ff:ff:ff:ff"),
        (Mode.RELAY, "02:bf:0a:00:00:01", "ff:ff:ff:ff:ff:ff"),
        (Mode.AUTO, "02:bf:0a:00:00:01", "ff:ff:ff:ff:ff:ff"),
        (Mode.MULTICAST, "03:bf:0a:00:00:01", "03:bf:0a:00:00:01"),
        (Mode.IGMP, "01:00:5e:7f:00:01", "01:00:5e:7f:00:01"),
    ],
)
def test_each_mode_has_its_virtual_mac_and_sends_heartbeats_to_whom_it_reaches(
    cluster: Cluster, mode: Mode, vmac: str, heartbeats: str
) -> None:
    changed = dataclasses.replace(cluster, mode=mode)
    assert str(changed.vmac) == vmac
    assert str(changed.heartbeat_destination) == heartbeats


@pytest.mark.parametrize(
    ("mode", "masks_source", "station", "masked"),
    [
        (Mode.STEALTH, True, "52:00:00:00:00:12", "52:00:00:00:00:12"),
        (Mode.MULTICAST, True, "52:00:00:00:00:12", "52:00:00:00:00:12"),
        (Mode.UNICAST, True, "02:bf:0a:00:00:01", "02:02:0a:00:00:01"),
        (Mode.UNICAST, False, "02:bf:0a:00:00:01", "02:bf:0a:00:00:01"),
    ],
)
def test_in_mode_unicast_alone_an_interface_has_the_virtual_mac_and_masks_it(
    cluster: Cluster, mode: Mode, station: str, masked: str, *, masks_source: bool
) -> None:
    changed = dataclasses.replace(cluster, mode=mode, masks_source=masks_source)
    own = Mac.parse("52:00:00:00:00:12")
    assert str(changed.station_mac(own)) == station
    assert str(changed.masked_mac(HostIndex(1), own)) == masked


def test_a_host_is_found_by_its_index_one_less_than_its_priority(cluster: Cluster) -> None:
    assert cluster.host(HostIndex(1)).name == "host2"
    assert [host.index for host in cluster.hosts] == [2, 0, 1]


def test_a_host_the_cluster_lacks_is_a_key_error(cluster: Cluster) -> None:
    with pytest.raises(KeyError):
        cluster.host(HostIndex(63))


def test_equal_clusters_have_equal_digests_in_whatever_order_the_hosts_are(
    cluster: Cluster,
) -> None:
    twin = dataclasses.replace(cluster, hosts=tuple(reversed(cluster.hosts)))
    assert len(cluster.configuration) == 8
    assert twin.configuration == cluster.configuration


def test_the_digest_is_the_same_on_every_python(cluster: Cluster) -> None:
    """A number that was computed once: a cluster may run several versions of Python at a time."""
    assert cluster.configuration.hex() == "3392c3c2fb9dea36"


@pytest.mark.parametrize(
    "change",
    [
        {"name": "mail"},
        {"vips": (IpAddress.parse("10.0.0.2"), IpAddress.parse("10.0.0.1"))},
        {"hosts": (Host(1, "host1", IpAddress.parse("10.0.0.11")),)},
        {"key": HashKey(bytes(16))},
        {"timing": TIMINGS["fast"]},
        {"rules": ()},
        {"mode": Mode.UNICAST},
        {"masks_source": False},
        {"healing": frozenset()},
        {"healing": frozenset({Healing.RELAY, Healing.BOUNCE})},
    ],
)
def test_the_digest_differs_when_anything_differs(
    cluster: Cluster, change: dict[str, object]
) -> None:
    other = dataclasses.replace(cluster, **change)  # type: ignore[arg-type]
    assert other.configuration != cluster.configuration


@pytest.mark.parametrize(
    "change",
    [
        {"first_port": 79},
        {"last_port": 90},
        {"protocol": Protocol.BOTH},
        {"vip": IpAddress.parse("10.0.0.1")},
        {"affinity": Affinity.SINGLE},
        {"load_weights": {HostIndex(0): 51}},
    ],
)
def test_the_digest_differs_when_anything_in_a_rule_differs(
    cluster: Cluster, change: dict[str, object]
) -> None:
    rule = dataclasses.replace(cluster.rules[0], **change)  # type: ignore[arg-type]
    other = dataclasses.replace(cluster, rules=(rule, *cluster.rules[1:]))
    assert other.configuration != cluster.configuration


@pytest.mark.parametrize("change", [{"name": "h"}, {"dedicated_ip": IpAddress.parse("10.0.0.9")}])
def test_the_digest_differs_when_anything_in_a_host_differs(
    cluster: Cluster, change: dict[str, object]
) -> None:
    host = dataclasses.replace(cluster.hosts[0], **change)  # type: ignore[arg-type]
    other = dataclasses.replace(cluster, hosts=(host, *cluster.hosts[1:]))
    assert other.configuration != cluster.configuration


def test_the_secret_of_heartbeats_is_not_in_the_digest(cluster: Cluster) -> None:
    """Whoever has another one is told as a forger long before the digests are compared."""
    other = dataclasses.replace(cluster, heartbeat_key=b"another")
    assert other.configuration == cluster.configuration


@pytest.mark.parametrize(
    ("name", "detection_ms", "lease_ms"),
    [("fast", 45, 42.75), ("default", 300, 285), ("nlb", 5000, 4750)],
)
def test_the_profiles_have_the_documented_times(
    name: str, detection_ms: float, lease_ms: float
) -> None:
    timing = TIMINGS[name]
    assert timing.name == name
    assert timing.detection_ns / 1e6 == detection_ms
    assert timing.lease_ns / 1e6 == lease_ms
