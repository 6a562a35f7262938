# SPDX-License-Identifier: Apache-2.0
"""Which host of the cluster is meant: this one, or the one an operator named.

Knows names, priorities and dedicated IP addresses. Knows nothing of what is then done to the host.
"""

from collections.abc import Mapping

from wlbs.core.cluster import Cluster, Host
from wlbs.core.rules import HostIndex
from wlbs.linux.error import LinuxError
from wlbs.linux.link import AddressOnLink


def own_host(
    cluster: Cluster,
    interfaces: Mapping[HostIndex, str],
    addresses: tuple[AddressOnLink, ...],
    named: str | None,
) -> Host:
    """Return the host with this name, else the one whose dedicated IP is on its interface."""
    if named is not None:
        host = find_host(cluster, named)
        if host is None:
            what = f"the cluster has no host {named}"
            raise LinuxError(what, f"name one of these: {_listed(cluster)}")
        return host
    held = {(each.interface, each.address) for each in addresses}
    found = [host for host in cluster.hosts if (interfaces[host.index], host.dedicated_ip) in held]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(host.name for host in found)
        what = f"this machine has the dedicated IP addresses of several hosts: {names}"
        raise LinuxError(what, f"say which of them it is: --host {found[0].name}")
    wanted = ", ".join(
        f"{host.dedicated_ip} on {interfaces[host.index]} ({host.name})" for host in cluster.hosts
    )
    what = f"this machine is no host of the cluster: it has none of {wanted}"
    raise LinuxError(what, "give it its dedicated IP address, or say which it is: --host NAME")


def find_host(cluster: Cluster, word: str) -> Host | None:
    """Return the host of this name or, failing that, of this priority."""
    by_name = {host.name: host for host in cluster.hosts}
    by_priority = {str(host.priority): host for host in cluster.hosts}
    return by_name.get(word) or by_priority.get(word)


def _listed(cluster: Cluster) -> str:
    return ", ".join(host.name for host in cluster.hosts)
