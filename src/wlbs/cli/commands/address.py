# SPDX-License-Identifier: Apache-2.0
"""`wlbs ip2mac`: the MAC addresses that a cluster has for its primary IP address.

Knows how they are shown; how they are made is known to `core.address`.
"""

import json

import click

from wlbs.core.address import HOST_PRIORITY_MAX, IpAddress, cluster_macs, masked_mac


@click.command()
@click.argument("ip")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of words.")
def ip2mac(ip: str, *, as_json: bool) -> None:
    """Print the cluster's MAC addresses for a primary IP address, as NLB makes them.

    Look for them in a switch's address table or in a capture. The masked address is what a host
    shows as its source, so that no switch learns where the cluster's own address is; its second
    octet is the host's priority.

    \b
    Example:
      wlbs ip2mac 10.0.0.10
      tcpdump -e ether host "$(wlbs ip2mac 10.0.0.10 --json | jq -r .unicast)"
    """  # noqa: D301 - click wants the character
    try:
        primary = IpAddress.parse(ip)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="IP") from error
    macs = cluster_macs(primary)
    first, last = masked_mac(primary, 1), masked_mac(primary, HOST_PRIORITY_MAX)
    octets = str(first).split(":")
    pattern = ":".join((octets[0], "hh", *octets[2:]))
    found = {
        "primary_ip": str(primary),
        "unicast": str(macs.unicast),
        "multicast": str(macs.multicast),
        "igmp": str(macs.igmp),
        "masked": pattern,
    }
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for name, value in found.items():
        click.echo(f"{name:<12}{value}")
    click.echo(f"{'':<12}hh is the host's priority: {first} to {last}")
