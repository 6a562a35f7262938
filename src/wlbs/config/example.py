# SPDX-License-Identifier: Apache-2.0
"""A commented configuration to start from.

Knows how to write one that passes the checks, for any number of hosts. Reads nothing and knows
nothing of this machine.
"""

from typing import Final

from wlbs.core.address import HOST_PRIORITY_MAX, IpAddress

EXAMPLE_PRIMARY: Final = "192.0.2.10"
"""Of the network kept for documentation (RFC 5737), so that nobody's address is used by mistake."""

EXAMPLE_HOST_COUNT: Final = 2

_LAST_OCTET_MAX: Final = 254
_OCTET_MASK: Final = 0xFF

_HEAD: Final = """\
# A cluster of wlbs. Put the same file on every host, then: wlbs check FILE

[cluster]
name = "web"
primary_ip = {primary:<24}# the address that clients use; every host serves it
# virtual_ips = ["192.0.2.20"]       # further addresses of the same kind
interface = "eth0"                   # the interface that faces the clients
key_file = "web.key"                 # the cluster's secret, the same file on every host;
                                     # make it with
                                     #   (umask 077; openssl rand -hex 32 > web.key)
                                     # or
                                     #   (umask 077; python3 -c \\
                                     #     "import secrets; print(secrets.token_hex(32))" > web.key)
# mode = "stealth"                   # how frames reach the hosts; or "unicast", "multicast",
                                     # "igmp", "relay", "auto"
# healing = ["relay"]                # when a switch has learned the cluster's MAC address: send
                                     # on to the others; "bounce" an own link too; [] says so only
# xdp = "native"                     # "generic" for a driver without XDP; slower
# tc = "auto"                        # or "tcx", "clsact"
# timing = "default"                 # a host is missed after 300 ms; "fast" 45 ms, "nlb" 5 s
"""

_HOSTS: Final = """
# One section for each host. Priority 1 comes first; of the hosts that run, the first is the default
# host, which takes what no rule covers.
"""

_HOST: Final = """
[[host]]
priority = {number}
name = "h{number}"
dedicated_ip = {address:<22}# this host's own address
# interface = "eth1"                 # where this host differs; likewise xdp and tc
"""

_RULES: Final = """
[[rule]]
ports = 80                           # or a range: "8000-8099"
protocol = "tcp"                     # "tcp", "udp" or "both"
affinity = "none"                    # spread every connection by itself

[[rule]]
ports = 443
protocol = "tcp"
affinity = "single"                  # keep a client on one host; "network" keeps its /24 together
# virtual_ip = {primary:<22}# "all" if not given
# load_weights = {{ h1 = 30, h2 = 60 }}  # 0 to 100; a host not named has 50
"""


def example(primary: IpAddress, host_count: int) -> str:
    """Return a configuration for so many hosts, with addresses beside the primary IP."""
    assert 1 <= host_count <= HOST_PRIORITY_MAX, f"no cluster has {host_count} hosts"
    hosts = [
        _HOST.format(number=number, address=_quote(_beside(primary, number)))
        for number in range(1, host_count + 1)
    ]
    quoted = _quote(primary)
    head, rules = _HEAD.format(primary=quoted), _RULES.format(primary=quoted)
    return "".join((head, _HOSTS, *hosts, rules))


def _beside(primary: IpAddress, number: int) -> IpAddress:
    """Return another address of the primary's /24, neither its first nor its last."""
    # Counting on from the primary; there are fewer hosts than octets, so it never comes back to it.
    chosen = ((primary.v4 & _OCTET_MASK) + number - 1) % _LAST_OCTET_MAX + 1
    return IpAddress.from_v4(primary.v4 & ~_OCTET_MASK | chosen)


def _quote(address: IpAddress) -> str:
    return f'"{address}"'
