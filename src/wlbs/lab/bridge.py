# SPDX-License-Identifier: Apache-2.0
"""The Linux bridges of a lab, and what each shape of a segment asks of them.

Knows ip-link(8) and bridge(8). A bridge that snoops looks a group up by the destination of the IP
packet and not by that of the frame, so that it hands packets for a virtual IP in frames to a group
to ports of routers alone (docs/design/segments.md): the hosts' ports are made such ports. Knows
nothing of what is behind a port.
"""

from typing import Final

from wlbs.lab.command import inside, run
from wlbs.lab.names import BRIDGE, LabNames
from wlbs.scenario.topology import Shape, Topology

AGEING_S: Final = 300.0
"""Linux's default, and IEEE 802.1D's (1998, 7.9.2)."""

_CENTISECONDS: Final = 100
"""The kernel counts a bridge's times in hundredths of a second (USER_HZ)."""

_RESPONSE_CENTISECONDS: Final = 50
"""For so long a new querier floods groups as before, to learn of their members first; the default
is ten seconds (``multicast_query_response_interval``)."""

_ALWAYS_A_ROUTER: Final = 2
"""``multicast_router`` of a port (ip-link(8)): whatever it has heard there."""


def add_bridge(names: LabNames, switch: str, shape: Shape) -> None:
    """Make a switch's bridge, without ports."""
    snooping = int(shape is Shape.SNOOPING)
    _ip(names, switch, f"link add {BRIDGE} type bridge stp_state 0 mcast_snooping {snooping}")
    if snooping:
        # One after the other: with both in one request the old response interval is in force.
        response = f"mcast_query_response_interval {_RESPONSE_CENTISECONDS}"
        _ip(names, switch, f"link set {BRIDGE} type bridge {response}")
        _ip(names, switch, f"link set {BRIDGE} type bridge mcast_querier 1")
    _ip(names, switch, f"link set {BRIDGE} up")


def plug_in(names: LabNames, switch: str, port: str, shape: Shape, *, is_host: bool) -> None:
    """Make an interface of a switch's namespace a port of its bridge, and bring it up."""
    _ip(names, switch, f"link set dev {port} master {BRIDGE}")
    if shape is Shape.HUB:
        _bridge(names, switch, f"link set dev {port} learning off")
    elif shape is Shape.BLOCKING and is_host:
        _bridge(names, switch, f"link set dev {port} flood off")
    elif shape is Shape.SNOOPING and is_host:
        _bridge(names, switch, f"link set dev {port} mcast_router {_ALWAYS_A_ROUTER}")
    _ip(names, switch, f"link set dev {port} up")


def all_forward(names: LabNames, switch: str) -> bool:
    """Tell whether every port of a switch's bridge has heard of its carrier, and forwards."""
    ports = _bridge(names, switch, "link show").splitlines()
    return all("state forwarding" in port for port in ports)


def set_ageing(names: LabNames, topology: Topology, seconds: float | None) -> None:
    """Have every bridge forget what it has not seen for so long; None: the default."""
    ageing = round((AGEING_S if seconds is None else seconds) * _CENTISECONDS)
    for switch in topology.switches:
        _ip(names, switch, f"link set {BRIDGE} type bridge ageing_time {ageing}")


def _ip(names: LabNames, switch: str, words: str) -> None:
    run(inside(names.namespace(switch), "ip", *words.split()))


def _bridge(names: LabNames, switch: str, words: str) -> str:
    return run(inside(names.namespace(switch), "bridge", *words.split()))
