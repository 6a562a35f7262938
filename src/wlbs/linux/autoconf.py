# SPDX-License-Identifier: Apache-2.0
"""How an interface makes IPv6 addresses for itself: from its hardware address, or from a secret.

Knows the kernel's setting ``addr_gen_mode`` and what changing it leaves behind. Knows nothing of
why several hosts should have one hardware address.
"""

from dataclasses import dataclass
from typing import Final

from pyroute2 import IPRoute

from wlbs.linux import link, sysctl

EUI64: Final = "0"
RANDOM: Final = "3"
"""Values of ``addr_gen_mode`` (Linux, ip-sysctl.rst): from the hardware address, and by stable
privacy (RFC 7217) under a secret that the kernel draws if there is none."""

_STABLE_PRIVACY: Final = 0x800
"""IFA_F_STABLE_PRIVACY of <linux/if_addr.h>."""
_SCOPE_LINK: Final = 253
"""RT_SCOPE_LINK of <linux/rtnetlink.h>."""
_V6: Final = 10


@dataclass(frozen=True, slots=True)
class _LinkLocal:
    """One link-local address."""

    address: str
    prefix_length: int
    flags: int


def uses_mac(interface: str) -> bool:
    """Whether the interface makes its addresses from its hardware address."""
    return sysctl.read(_setting(interface)) == EUI64


def use_secret(interface: str) -> None:
    """Have it make them from a secret from now on; those it has stay."""
    sysctl.write(_setting(interface), RANDOM)


def use_mac(interface: str) -> bool:
    """Have it make them from its hardware address again; False if it does so already.

    The link-local address that the kernel made from the secret goes. On a link that is down so does
    the one that the kernel makes of the hardware address at once: it had none.
    """
    if uses_mac(interface):
        return False
    before = _link_locals(interface)
    private = {each for each in before if each.flags & _STABLE_PRIVACY}
    sysctl.write(_setting(interface), EUI64)
    made = set() if link.find(interface).is_up else _link_locals(interface) - before
    index = link.find(interface).index
    with IPRoute() as route:
        for each in private | made:
            route.addr("del", index=index, address=each.address, prefixlen=each.prefix_length)
    return True


def _link_locals(interface: str) -> set[_LinkLocal]:
    index = link.find(interface).index
    with IPRoute() as route:
        return {
            _LinkLocal(
                message.get_attr("IFA_ADDRESS"),
                int(message["prefixlen"]),
                int(message.get_attr("IFA_FLAGS") or 0),
            )
            for message in route.get_addr(family=_V6, index=index, scope=_SCOPE_LINK)
        }


def _setting(interface: str) -> str:
    return f"net/ipv6/conf/{interface}/addr_gen_mode"
