# SPDX-License-Identifier: Apache-2.0
"""A lab's segment: namespaces, veth pairs and bridges, from a topology.

Knows addresses, routes and kernel settings; what makes one bridge a switch and another a hub is in
`bridge`. Knows nothing of agents, services or traffic; what is made here goes away with its
namespaces, which is what `sweep` relies on.
"""

import sys
from functools import partial
from typing import Final

from wlbs.core.address import IpAddress
from wlbs.lab.bridge import add_bridge, all_forward, plug_in
from wlbs.lab.command import inside, run
from wlbs.lab.names import NODE_INTERFACE, PASS_PROGRAM, LabNames
from wlbs.lab.wait import wait_until
from wlbs.linux.error import LinuxError
from wlbs.scenario.topology import PREFIX_LENGTH, Node, Shape, Topology, network_behind

_NEVER: Final = 0
_COOKIES_ON_OVERFLOW: Final = 1
_ALWAYS: Final = 2
"""``net.ipv4.tcp_syncookies``, set for each namespace; the second is Linux's default."""


_TRUNK_INDEX: Final = 1000
"""A number that the other end does not get: of a pair with equal ones the kernel takes for a
hardware link, whose news of a carrier may wait for a second (linkwatch_urgent_event)."""


def build_network(names: LabNames, topology: Topology) -> None:
    """Make the namespaces, the bridge, the links and the routes of a topology."""
    if not PASS_PROGRAM.exists():
        raise LinuxError(what=f"{PASS_PROGRAM} has not been compiled", remedy="type `make setup`")
    for node in (*topology.switches, *(each.name for each in topology.nodes)):
        run(("ip", "netns", "add", names.namespace(node)))
        _set_kernel(names, node)
    for switch in topology.switches:
        add_bridge(names, switch, topology.shape)
    for one, other in topology.trunks:
        _connect_switches(names, topology.shape, one, other)
    for each in topology.nodes:
        _connect(names, topology, each)
    for host in topology.hosts:
        # Without native XDP on this end, veth loses what the host sends back by XDP_TX.
        _in(names, host.switch, f"link set dev {host.name} xdpdrv obj {PASS_PROGRAM} sec xdp")
        for client in topology.clients:
            _in(names, host.name, f"route add {network_behind(client)} via {client.address}")
    for switch in topology.switches:
        wait_until(partial(all_forward, names, switch), f"the ports of {switch} to forward")
    for client in topology.clients:
        _in(names, client.name, f"route add local {network_behind(client)} dev lo")


def send_cookies(names: LabNames, topology: Topology, host: str | None) -> None:
    """Have this host, or none, answer every SYN by a SYN cookie.

    The namespaces share one kernel and so the secret its cookies are made with, which two machines
    never do. So meanwhile the others know no cookies at all: their kernels refuse every one.
    """
    for each in topology.hosts:
        setting = _COOKIES_ON_OVERFLOW if host is None else _ALWAYS if each.name == host else _NEVER
        words = f"net.ipv4.tcp_syncookies={setting}"
        run(inside(names.namespace(each.name), "sysctl", "-q", "-w", words))


def begin_forwarding(names: LabNames, topology: Topology) -> None:
    """Have every host send on what reaches its stack for somebody else, as a router does."""
    for each in topology.hosts:
        run(inside(names.namespace(each.name), "sysctl", "-q", "-w", "net.ipv4.ip_forward=1"))


def _connect_switches(names: LabNames, shape: Shape, one: str, other: str) -> None:
    """Put a cable between two switches: each end has the other switch's name."""
    there = names.namespace(other)
    pair = f"link add {other} index {_TRUNK_INDEX} type veth peer name {one} netns {there}"
    _in(names, one, pair)
    plug_in(names, one, other, shape, is_host=False)
    plug_in(names, other, one, shape, is_host=False)


def _connect(names: LabNames, topology: Topology, node: Node) -> None:
    """Plug a node into its switch: the port there has the node's name."""
    namespace, switch = names.namespace(node.name), names.namespace(node.switch)
    pair = f"link add {NODE_INTERFACE} netns {namespace} address {node.mac}"
    run(("ip", *f"{pair} type veth peer name {node.name} netns {switch}".split()))
    # A veth leaves checksums to an offload that no wire will do; captures and frames that come
    # back by XDP_TX would carry bad ones. Entered by a process of its own: the request is an
    # ioctl, which knows only the caller's namespace.
    run(inside(namespace, sys.executable, "-m", "wlbs.lab.offload", NODE_INTERFACE))
    plug_in(names, node.switch, node.name, topology.shape, is_host=node in topology.hosts)
    _in(names, node.name, _address(node.address))
    _in(names, node.name, f"link set {NODE_INTERFACE} up")
    _in(names, node.name, "link set lo up")


def _address(address: IpAddress) -> str:
    return f"address add {address}/{PREFIX_LENGTH} dev {NODE_INTERFACE}"


def _set_kernel(names: LabNames, node: str) -> None:
    """Set what the kernel must not do by itself, before there is an interface to do it on."""
    settings = {
        "net.ipv6.conf.all.disable_ipv6": 1,
        "net.ipv6.conf.default.disable_ipv6": 1,
        # Clients speak from addresses behind them; they must ask for the VIP with their own.
        "net.ipv4.conf.all.arp_announce": 2,
        "net.ipv4.conf.all.rp_filter": 0,
        "net.ipv4.conf.default.rp_filter": 0,
    }
    words = [f"{name}={value}" for name, value in settings.items()]
    run(inside(names.namespace(node), "sysctl", "-q", "-w", *words))


def _in(names: LabNames, node: str, words: str) -> None:
    run(inside(names.namespace(node), "ip", *words.split()))
