# SPDX-License-Identifier: Apache-2.0
"""Everything that would go wrong later, found before anything is touched, and all at once.

Knows what a host must have and must not have to serve a cluster, and for each thing the cure.
Changes nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from wlbs.core.cluster import Cluster, Host, Mode
from wlbs.core.frame import IpProtocol
from wlbs.core.rules import PortRule, Protocol
from wlbs.linux import capability, namespace, ruleset
from wlbs.linux.error import LinuxError
from wlbs.linux.link import AddressOnLink, Link
from wlbs.linux.listener import listeners

ADDRESS_OWNERS: Final = frozenset({"keepalived", "pacemakerd", "corosync"})
"""Programs that put shared addresses on interfaces and would fight over a virtual IP."""


AGGREGATES: Final = frozenset({"bond", "team"})
"""Interfaces whose drivers speak below the guard, at the interfaces that they are made of."""

_ONE_ADDRESS: Final = "hears its own address alone, not the one by which hosts reach each other"

UNFIT: Final = {
    "bridge": "would keep the frames for the cluster from everybody behind its other ports",
    "macvlan": _ONE_ADDRESS,
    "macvtap": _ONE_ADDRESS,
}
"""Kinds of interface that do not work with the cluster's MAC address as their own, and why."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing in the way, and its cure."""

    what: str
    remedy: str


def require_privileges() -> None:
    """Raise LinuxError unless this process may do what an agent does, asserts included."""
    if not __debug__:
        what = "python runs with -O, which removes the checks the agent relies on"
        raise LinuxError(what, "start it without -O and with PYTHONOPTIMIZE unset")
    lacking = capability.missing()
    if lacking:
        what = f"this process lacks {', '.join(lacking)}"
        raise LinuxError(what, "run it as root, or give the service these capabilities")


def require(cluster: Cluster, host: Host, link: Link, addresses: tuple[AddressOnLink, ...]) -> None:
    """Raise one LinuxError that names every problem, or return."""
    problems = [
        *_dedicated_ip_problems(host, link, addresses),
        *_vip_problems(cluster, addresses),
        *_interface_problems(cluster, link),
    ]
    if len(problems) == 1:
        raise LinuxError(problems[0].what, problems[0].remedy)
    if problems:
        lines = (f"\n  {each.what}\n    cure: {each.remedy}" for each in problems)
        what = f"{len(problems)} things are in the way:{''.join(lines)}"
        raise LinuxError(what, "mend each of them; nothing was touched")


def warnings(cluster: Cluster, link: Link) -> Iterator[str]:
    """Yield what an operator should know but may have meant."""
    if cluster.mode is Mode.UNICAST and link.kind in AGGREGATES:
        yield (
            f"{link.name} is a {link.kind}: some of its modes send frames of their own from the "
            "address of the cluster, past the guard; watch the switch's table, or use mode stealth"
        )
    there = listeners()
    diverted = ruleset.diverted_ports()
    for rule in cluster.rules:
        ports = range(rule.first_port, rule.last_port + 1)
        for vip in [rule.vip] if rule.vip else cluster.vips:
            if not any(each.serves(vip, p, ports) for each in there for p in _protocols(rule)):
                yield (
                    f"nobody listens on {_ports(rule)} of {vip} in this network namespace; "
                    "this host will refuse its share of the connections"
                )
        crossing = sorted(diverted.intersection(ports))
        if crossing:
            numbers = ", ".join(map(str, crossing[:8]))
            yield (
                f"the packet filter translates (DNAT) port {numbers}, which a rule covers; "
                "translated connections are not followed when a bucket changes hands"
            )


def _dedicated_ip_problems(
    host: Host, link: Link, addresses: tuple[AddressOnLink, ...]
) -> Iterator[Problem]:
    held = {each.interface for each in addresses if each.address == host.dedicated_ip}
    if link.name in held:
        return
    where = f"it is on {', '.join(sorted(held))}" if held else "no interface here has it"
    yield Problem(
        f"the dedicated IP {host.dedicated_ip} of {host.name} is not on {link.name}: {where}",
        f"ip address add {host.dedicated_ip}/LENGTH dev {link.name}, or mend the configuration",
    )


def _vip_problems(cluster: Cluster, addresses: tuple[AddressOnLink, ...]) -> Iterator[Problem]:
    for each in addresses:
        if each.address in cluster.vips:
            owners = sorted(
                f"{name} (process {pid})"
                for pid, name in namespace.processes().items()
                if name in ADDRESS_OWNERS
            )
            by = f", where {', '.join(owners)} may have put it" if owners else ""
            remedy = f"ip address del {each.address}/{each.prefix_length} dev {each.interface}"
            if owners:
                remedy = f"take it out of the configuration of {', '.join(owners)}, then {remedy}"
            yield Problem(
                f"the virtual IP {each.address} is on {each.interface} of this host{by}", remedy
            )


def _interface_problems(cluster: Cluster, link: Link) -> Iterator[Problem]:
    if link.mac.is_group or not any(link.mac.octets):
        yield Problem(
            f"{link.name} has no Ethernet address of its own",
            "name an Ethernet interface in the configuration",
        )
    if link.mac == cluster.vmac:
        yield Problem(
            f"{link.name} has the cluster's own MAC address {cluster.vmac}",
            f"give it its own again, which `ethtool -P {link.name}` may know: "
            f"ip link set {link.name} address MAC",
        )
    if cluster.mode is Mode.UNICAST and link.kind in UNFIT:
        yield Problem(
            f"{link.name} is a {link.kind}, which in mode unicast {UNFIT[link.kind]}",
            "name the interface below it, or choose another mode",
        )


def _protocols(rule: PortRule) -> tuple[IpProtocol, ...]:
    return tuple(
        number
        for number, kind in ((IpProtocol.TCP, Protocol.TCP), (IpProtocol.UDP, Protocol.UDP))
        if rule.protocol & kind
    )


def _ports(rule: PortRule) -> str:
    kind = "/".join(protocol.name for protocol in _protocols(rule))
    if rule.first_port == rule.last_port:
        return f"{kind} port {rule.first_port}"
    return f"{kind} ports {rule.first_port}-{rule.last_port}"
