# SPDX-License-Identifier: Apache-2.0
"""The configured cluster: its primary address, its MAC, and its hosts by index."""

import pytest

from wlbs.core.cluster import Cluster
from wlbs.core.rules import HostIndex


def test_the_first_virtual_ip_is_the_primary_and_gives_the_mac(cluster: Cluster) -> None:
    assert str(cluster.primary) == "10.0.0.1"
    assert str(cluster.vmac) == "02:bf:0a:00:00:01"


def test_a_host_is_found_by_its_index_one_less_than_its_priority(cluster: Cluster) -> None:
    assert cluster.host(HostIndex(1)).name == "host2"
    assert [host.index for host in cluster.hosts] == [2, 0, 1]


def test_a_host_the_cluster_lacks_is_a_key_error(cluster: Cluster) -> None:
    with pytest.raises(KeyError):
        cluster.host(HostIndex(63))
