# SPDX-License-Identifier: Apache-2.0
"""Interfaces and their addresses, of the network namespace the caller is in.

Knows rtnetlink, through pyroute2. Every call opens its own socket and is blocking: for before and
after an event loop, never inside one. Knows nothing of why an interface is changed.
"""

import errno
from dataclasses import dataclass
from typing import Final

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from wlbs.core.address import NO_MAC, IpAddress, Mac
from wlbs.linux.error import LinuxError

IFF_UP: Final = 0x1
IFF_PROMISC: Final = 0x100
IFF_LOWER_UP: Final = 0x10000
"""Flags of <linux/if.h>."""

SCOPE_HOST: Final = 254
"""RT_SCOPE_HOST of <linux/rtnetlink.h>: an address nothing is sent from unless asked for."""

_AUTO_JOIN: Final = 0x400
"""IFA_F_MCAUTOJOIN of <linux/if_addr.h>, since Linux 4.1 (commit 93a714d6b53d)."""

_V4: Final = 2
_V6: Final = 10
_V4_BITS: Final = 32
_V6_BITS: Final = 128


@dataclass(frozen=True, slots=True)
class Link:
    """One interface as the kernel describes it."""

    index: int
    name: str
    mac: Mac
    mtu: int
    is_up: bool
    has_carrier: bool
    is_promiscuous: bool
    kind: str = ""
    """What made it, if it is no hardware: ``veth``, ``bridge``, ``bond``, ``macvlan``."""


@dataclass(frozen=True, slots=True)
class AddressOnLink:
    """One address on one interface."""

    interface: str
    address: IpAddress
    prefix_length: int


@dataclass(frozen=True, slots=True)
class Learned:
    """One entry of a bridge's table: behind which of its ports an address was seen."""

    mac: Mac
    port_index: int


def links() -> tuple[Link, ...]:
    """Return every interface, in the order of their indices."""
    with IPRoute() as route:
        return tuple(_link(message) for message in route.get_links())


def find(name: str) -> Link:
    """Return the interface of this name; LinuxError that names those there are."""
    there = links()
    for link in there:
        if link.name == name:
            return link
    what = f"there is no interface {name} here"
    raise LinuxError(
        what,
        f"name one of these in the configuration: {', '.join(link.name for link in there)}",
    )


def addresses() -> tuple[AddressOnLink, ...]:
    """Return every address on every interface."""
    with IPRoute() as route:
        names = {int(message["index"]): _name(message) for message in route.get_links()}
        found = []
        for message in route.get_addr():
            text = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
            found.append(
                AddressOnLink(
                    names.get(int(message["index"]), "?"),
                    IpAddress.parse(text),
                    int(message["prefixlen"]),
                )
            )
    return tuple(found)


def add_host_address(interface: str, address: IpAddress) -> None:
    """Add an address for this host alone: full prefix, scope host; one that is there is fine.

    That of a group is joined on the interface: the kernel is a member, and answers queries, for as
    long as the address is there.
    """
    family, bits = _family(address)
    flags = {"IFA_FLAGS": _AUTO_JOIN} if address.is_multicast else {}
    _change_address(
        "add", interface, address, family=family, prefixlen=bits, scope=SCOPE_HOST, **flags
    )


def remove_address(held: AddressOnLink) -> None:
    """Remove an address; one that is not there is fine."""
    family, _ = _family(held.address)
    _change_address(
        "del", held.interface, held.address, family=family, prefixlen=held.prefix_length
    )


def set_up(name: str, *, up: bool) -> None:
    """Bring an interface up or down."""
    _change_link(name, state="up" if up else "down")


def set_promiscuous(name: str, *, on: bool) -> None:
    """Make an interface hear every frame on its wire, or only its own again."""
    _change_link(name, flags=IFF_PROMISC if on else 0, change=IFF_PROMISC)


def learned(bridge: str) -> tuple[Learned, ...]:
    """Return a bridge's table of learned and permanent addresses."""
    bridge_index = find(bridge).index
    with IPRoute() as route:
        return tuple(
            Learned(Mac.parse(message.get_attr("NDA_LLADDR")), int(message["ifindex"]))
            for message in route.get_neighbours(family=7)  # AF_BRIDGE
            if message.get_attr("NDA_MASTER") == bridge_index
        )


# pyroute2 carries no types: its messages are dictionaries with a method.
def _link(message) -> Link:  # type: ignore[no-untyped-def]  # noqa: ANN001
    flags = int(message["flags"])
    text = message.get_attr("IFLA_ADDRESS")
    information = message.get_attr("IFLA_LINKINFO")
    return Link(
        index=int(message["index"]),
        name=_name(message),
        mac=Mac.parse(text) if text and len(text) == len(str(NO_MAC)) else NO_MAC,
        mtu=int(message.get_attr("IFLA_MTU") or 0),
        is_up=bool(flags & IFF_UP),
        has_carrier=bool(flags & IFF_LOWER_UP),
        is_promiscuous=bool(flags & IFF_PROMISC),
        kind=str(information.get_attr("IFLA_INFO_KIND") or "") if information else "",
    )


def _name(message) -> str:  # type: ignore[no-untyped-def]  # noqa: ANN001
    return str(message.get_attr("IFLA_IFNAME"))


def _family(address: IpAddress) -> tuple[int, int]:
    return (_V4, _V4_BITS) if address.is_v4 else (_V6, _V6_BITS)


def _change_link(name: str, **what: int | str) -> None:
    index = find(name).index
    try:
        with IPRoute() as route:
            route.link("set", index=index, **what)
    except NetlinkError as error:
        refusal = f"cannot change interface {name}: {error}"
        raise LinuxError(refusal, "run as root") from error


def _change_address(word: str, interface: str, address: IpAddress, **what: int) -> None:
    harmless = {"add": errno.EEXIST, "del": errno.EADDRNOTAVAIL}[word]
    index = find(interface).index
    try:
        with IPRoute() as route:
            route.addr(word, index=index, address=str(address), **what)
    except NetlinkError as error:
        if error.code != harmless:
            refusal = f"cannot {word} address {address} on {interface}: {error}"
            raise LinuxError(refusal, "run as root") from error
