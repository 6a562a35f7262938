# SPDX-License-Identifier: Apache-2.0
"""By which hardware addresses an interface is known: its own, and those it listens to beside it.

What is told to listen to is kept by the kernel, not by this process: in the device's list of
unicast and multicast addresses, as ``bridge fdb add ADDRESS dev NAME self`` does it. A driver that
cannot filter by a second address hears everything instead; the kernel sees to that. Knows nothing
of why an address is wanted.
"""

import errno
from typing import Final

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from wlbs.core.address import Mac
from wlbs.linux import link
from wlbs.linux.error import LinuxError

_NTF_SELF: Final = 0x02
"""Of <linux/neighbour.h>: the device's own list, not that of a bridge it belongs to."""


def set_mac(name: str, mac: Mac) -> None:
    """Give an interface another address of its own; LinuxError if its driver refuses while up."""
    index = link.find(name).index
    try:
        with IPRoute() as route:
            route.link("set", index=index, address=str(mac))
    except NetlinkError as error:
        what = f"cannot give {name} the address {mac}: {error}"
        remedy = "run as root; some interfaces (macvlan, ipvlan) cannot have every address"
        if error.code == errno.EBUSY:
            what = f"the driver of {name} does not change its address while the link is up"
            remedy = f"ip link set {name} down, then type the same again; it is brought up by us"
        raise LinuxError(what, remedy) from error


def hear(name: str, mac: Mac) -> None:
    """Have an interface listen to one more address; one it listens to already is fine."""
    _change("add", name, mac, harmless=errno.EEXIST)


def stop_hearing(name: str, mac: Mac) -> bool:
    """Have an interface not listen to an address any more; False if it did not."""
    return _change("del", name, mac, harmless=errno.ENOENT)


def _change(word: str, name: str, mac: Mac, *, harmless: int) -> bool:
    index = link.find(name).index
    try:
        with IPRoute() as route:
            route.fdb(word, ifindex=index, lladdr=str(mac), flags=_NTF_SELF)
    except NetlinkError as error:
        if error.code == harmless:
            return False
        what = f"cannot {word} {mac} among the addresses that {name} listens to: {error}"
        raise LinuxError(what, "run as root; choose mode stealth if the driver cannot") from error
    return True
