# SPDX-License-Identifier: Apache-2.0
"""The shape of the configuration file: its keys, their types, defaults and one example each.

Each field carries an example and a description, from which problems, the JSON schema and the
remedies are made. Knows what can be said of one key by itself; what must hold between keys is in
`checks`. Values stay as they stand in the file: `load` turns them into the core's.
"""

import ipaddress
from typing import Annotated, Final, Literal, NoReturn

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator
from pydantic_core import PydanticCustomError

from wlbs.config.document import show
from wlbs.core.address import HOST_PRIORITY_MAX
from wlbs.core.rules import LOAD_WEIGHT_MAX, PORT_MAX

NAME_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
"""What a name may be: a host name's characters and length (RFC 1123, 2.1)."""

INTERFACE_PATTERN: Final = r"^[^\s/:.][^\s/:]{0,14}$"
"""What Linux takes as an interface's name (dev_valid_name, IFNAMSIZ 16 with its final zero)."""

REFUSED: Final = "refused"
"""The type of our own validators' errors; their context has the remedy."""

_EXAMPLE_IP: Final = "192.0.2.10"


def _refuse(wrong: str, remedy: str) -> NoReturn:
    # Braces mean something in pydantic's templates, so the words arrive as values.
    raise PydanticCustomError(REFUSED, "{wrong}", {"wrong": wrong, "remedy": remedy})


def check_ipv4(text: str, what: str) -> str:
    """Return the text if it is an IPv4 address that a host or a cluster can have."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        remedy = f'write a bare address such as "{_EXAMPLE_IP}", with no prefix length or name'
        _refuse(f"{show(text)} is not an IP address", remedy)
    if address.version != 4:  # noqa: PLR2004 - the name of the protocol
        _refuse(f"IPv6 {what} are not supported yet", "write an IPv4 address")
    if address.is_multicast or address.is_unspecified or address.is_loopback:
        _refuse(f"{text} can belong to no host", "write a unicast address of your network")
    if address == ipaddress.IPv4Address("255.255.255.255"):
        _refuse(f"{text} is the broadcast address", "write an address of your network")
    return text


def _check_virtual_ip(text: str) -> str:
    return check_ipv4(text, "virtual IPs")


def _check_dedicated_ip(text: str) -> str:
    return check_ipv4(text, "dedicated IPs")


def _check_rule_vip(text: str) -> str:
    return text if text == "all" else _check_virtual_ip(text)


def _check_ports(ports: object) -> int | str:
    if isinstance(ports, int | str) and not isinstance(ports, bool):
        first, last = _split_ports(ports)
        if 0 <= first <= last <= PORT_MAX:
            return ports
        if PORT_MAX >= first > last >= 0:
            _refuse(f"the range {ports} runs backwards", f'write ports = "{last}-{first}"')
    remedy = f'write ports = 80 or ports = "8000-8099"; ports run from 0 to {PORT_MAX}'
    _refuse(f"{show(ports)} is not a port or a range of ports", remedy)


def _split_ports(ports: int | str) -> tuple[int, int]:
    """Return the first and last port, (-1, -1) for what is no range; their order is not checked."""
    if isinstance(ports, int):
        return ports, ports
    parts = [part.strip() for part in ports.split("-")]
    digits_max = len(str(PORT_MAX))
    if not all(p.isascii() and p.isdigit() and len(p) <= digits_max for p in parts):
        return -1, -1
    if len(parts) > len(("first", "last")):
        return -1, -1
    return int(parts[0]), int(parts[-1])


Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Interface = Annotated[str, Field(pattern=INTERFACE_PATTERN)]
VirtualIp = Annotated[str, AfterValidator(_check_virtual_ip)]
DedicatedIp = Annotated[str, AfterValidator(_check_dedicated_ip)]
Port = Annotated[int, Field(ge=0, le=PORT_MAX)]
PortText = Annotated[str, Field(pattern=r"^\s*\d{1,5}\s*(-\s*\d{1,5}\s*)?$")]
Ports = Annotated[int | str, PlainValidator(_check_ports, json_schema_input_type=Port | PortText)]
LoadWeight = Annotated[int, Field(ge=0, le=LOAD_WEIGHT_MAX)]
XdpWord = Literal["native", "generic"]
TcWord = Literal["auto", "tcx", "clsact"]
ModeWord = Literal["stealth", "unicast", "multicast", "igmp", "relay", "auto"]
HealingWord = Literal["relay", "bounce"]
TimingWord = Literal["fast", "default", "nlb"]


class Section(BaseModel):
    """What every section has in common: nothing is guessed, converted or ignored."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ClusterSection(Section):
    """What is true of the whole cluster, and the defaults of its hosts."""

    name: Name = Field(description="The cluster's name.", examples=["web"])
    mode: ModeWord = Field(
        "stealth", description="How frames reach the hosts.", examples=["stealth"]
    )
    mask_source: bool = Field(
        default=True,
        description="Whether hosts hide the cluster's MAC address in what they send (unicast).",
        examples=[False],
    )
    healing: list[HealingWord] = Field(
        ["relay"],
        description="What hosts may do when a switch has learned the cluster's MAC address.",
        examples=[["relay", "bounce"]],
    )
    primary_ip: VirtualIp = Field(
        description="The first virtual IP; the cluster's MAC address is made of it.",
        examples=[_EXAMPLE_IP],
    )
    virtual_ips: list[VirtualIp] = Field(
        default_factory=list,
        description="Further virtual IPs of the cluster.",
        examples=[["192.0.2.20"]],
    )
    key_file: str = Field(
        min_length=1,
        description="The file with the cluster's secret, from this file's folder if relative.",
        examples=["/etc/wlbs/web.key"],
    )
    interface: Interface | None = Field(
        None, description="The interface that faces the clients.", examples=["eth0"]
    )
    xdp: XdpWord = Field(
        "native", description="Where the ingress program runs.", examples=["native"]
    )
    tc: TcWord = Field("auto", description="The hook of the egress guard.", examples=["auto"])
    timing: TimingWord = Field(
        "default",
        description="How often hosts say that they are there: fast 15 ms, default 100 ms, nlb 1 s.",
        examples=["default"],
    )


class HostSection(Section):
    """One host of the cluster."""

    priority: int = Field(
        ge=1,
        le=HOST_PRIORITY_MAX,
        description="The host's number in the cluster; 1 comes first.",
        examples=[1],
    )
    name: Name = Field(description="The host's name in rules and messages.", examples=["h1"])
    dedicated_ip: DedicatedIp = Field(
        description="The host's own address, not shared with others.", examples=["192.0.2.11"]
    )
    interface: Interface | None = Field(
        None, description="This host's interface, if not the cluster's.", examples=["eth0"]
    )
    xdp: XdpWord | None = Field(
        None, description="This host's choice, if not the cluster's.", examples=["generic"]
    )
    tc: TcWord | None = Field(
        None, description="This host's choice, if not the cluster's.", examples=["clsact"]
    )


class RuleSection(Section):
    """One port rule: how the traffic to some ports is shared."""

    ports: Ports = Field(description="One port, or a range in quotes.", examples=[80])
    protocol: Literal["tcp", "udp", "both"] = Field(
        "both", description="The protocol that is covered.", examples=["tcp"]
    )
    virtual_ip: Annotated[str, AfterValidator(_check_rule_vip)] = Field(
        "all", description="One of the virtual IPs, or all of them.", examples=["all"]
    )
    mode: Literal["multiple"] = Field(
        "multiple", description="How the hosts share the traffic.", examples=["multiple"]
    )
    affinity: Literal["none", "single", "network"] = Field(
        "single", description="What keeps a client on one host.", examples=["single"]
    )
    load_weights: dict[str, LoadWeight] = Field(
        default_factory=dict,
        description="Each host's share, 0 to 100; 50 for a host not named.",
        examples=[{"h1": 30, "h2": 60}],
    )

    @property
    def port_range(self) -> tuple[int, int]:
        """The first and the last port."""
        return _split_ports(self.ports)


class Document(Section):
    """The configuration of one cluster, the same file on every host."""

    cluster: ClusterSection
    host: list[HostSection] = Field(min_length=1)
    rule: list[RuleSection] = Field(default_factory=list)


def json_schema() -> dict[str, object]:
    """Return the JSON schema of the file, for editors and generators."""
    return Document.model_json_schema()
