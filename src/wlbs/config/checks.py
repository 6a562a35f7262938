# SPDX-License-Identifier: Apache-2.0
"""What must hold between the keys of a configuration.

Each check looks only at values that the models accepted, so that one wrong key does not hide or
invent problems elsewhere; a check whose facts are incomplete keeps silent. Knows the cluster's
laws; knows nothing of files, of types of keys, or of the core's values beyond a rule's reach.
"""

from collections.abc import Iterable
from typing import Final

from wlbs.config.document import ParsedDocument, show, spell
from wlbs.config.lines import KeyPath
from wlbs.config.models import RuleSection
from wlbs.config.shape import nearest
from wlbs.core.address import IpAddress
from wlbs.core.rules import LOAD_WEIGHT_DEFAULT, RULE_COUNT_MAX, PortRule, Protocol
from wlbs.core.table import VIP_COUNT_MAX

_REACH: Final = ("ports", "protocol", "virtual_ip")
"""The keys that say which packets a rule covers."""


_VIRTUAL_IPS: Final = ("cluster", "virtual_ips")


def check_between_keys(parsed: ParsedDocument) -> None:
    """Note every problem and warning that takes more than one key to see."""
    _check_virtual_ips(parsed)
    _check_mode(parsed)
    _check_hosts(parsed)
    _check_interfaces(parsed)
    _check_rule_count(parsed)
    for number in _rule_numbers(parsed):
        _check_rule_vip(parsed, number)
        _check_load_weights(parsed, number)
    _check_overlaps(parsed)


def _check_virtual_ips(parsed: ParsedDocument) -> None:
    _check_unique(parsed, _vip_paths(parsed), "write each virtual IP once")
    count = parsed.count(*_VIRTUAL_IPS) + 1
    if count > VIP_COUNT_MAX:
        parsed.refuse(
            _VIRTUAL_IPS,
            f"the cluster has {count} virtual IPs with its primary",
            f"keep {VIP_COUNT_MAX - 1} here at most; make a second cluster for the others",
        )


def _check_mode(parsed: ParsedDocument) -> None:
    mode, masking = parsed.text("cluster", "mode"), ("cluster", "mask_source")
    if mode is None and "mode" not in _table(parsed, "cluster"):
        mode = "stealth"
    if parsed.get(*masking) is False and mode not in {None, "unicast"}:
        parsed.refuse(
            masking,
            f"in mode {mode} no host sends from the cluster's MAC address: there is none to mask",
            'remove it, or write mode = "unicast" (for hosts behind one hub, KB Q193602)',
        )


def _check_hosts(parsed: ParsedDocument) -> None:
    for key in ("priority", "name", "dedicated_ip"):
        _check_unique(parsed, parsed.paths("host", key), f"give each host a {key} of its own")
    virtual = {parsed.text(*path): path for path in reversed(_vip_paths(parsed))}
    for path in parsed.paths("host", "dedicated_ip"):
        address = parsed.text(*path)
        if address is not None and address in virtual:
            parsed.refuse(
                path,
                f"{address} is a virtual IP of the cluster ({_place(parsed, virtual[address])})",
                "write the address that only this host has",
            )


def _check_interfaces(parsed: ParsedDocument) -> None:
    if ("cluster",) in parsed.unsound or "interface" in _table(parsed, "cluster"):
        return
    for number in range(parsed.count("host")):
        if ("host", number) in parsed.unsound or "interface" in _table(parsed, "host", number):
            continue
        parsed.refuse(
            ("host", number),
            "neither this host nor the cluster names an interface",
            'write interface = "eth0" here, or in [cluster] for every host',
        )


def _check_rule_count(parsed: ParsedDocument) -> None:
    count = parsed.count("rule")
    if count > RULE_COUNT_MAX:
        parsed.refuse(
            ("rule", RULE_COUNT_MAX),
            f"this is rule {RULE_COUNT_MAX + 1} of {count}",
            f"keep {RULE_COUNT_MAX} rules at most; join neighbouring ports to ranges",
        )
    if "rule" not in parsed.values:
        parsed.warn(
            ("rule",),
            "there is no rule, so all traffic goes to the default host (KB Q198552)",
            "add [[rule]] with ports = 80 to share that port's traffic",
        )


def _check_rule_vip(parsed: ParsedDocument, number: int) -> None:
    path = ("rule", number, "virtual_ip")
    wanted = parsed.text(*path)
    known = tuple(vip for vip in (parsed.text(*at) for at in _vip_paths(parsed)) if vip)
    whole = len(known) == len(_vip_paths(parsed)) and _VIRTUAL_IPS not in parsed.unsound
    if wanted in {None, "all"} or wanted in known or not whole:
        return
    parsed.refuse(
        path,
        f"{wanted} is not a virtual IP of the cluster",
        f'write "all" or one of {", ".join(known)}',
    )


def _check_load_weights(parsed: ParsedDocument, number: int) -> None:
    path = ("rule", number, "load_weights")
    names = tuple(parsed.text(*at) for at in parsed.paths("host", "name"))
    known = tuple(name for name in names if name is not None)
    if not known or len(set(known)) < len(names):
        return
    for name in parsed.keys(*path):
        if name not in known:
            parsed.refuse(
                (*path, name),
                f"there is no host {show(name)}",
                nearest(name, known),
            )
    weights = [parsed.get(*path, name) if name in _table(parsed, *path) else None for name in known]
    if all(weight == 0 for weight in weights):
        parsed.warn(
            path,
            "every host has load weight 0, so nobody takes this traffic",
            f"give a host a weight above 0; a host not named has {LOAD_WEIGHT_DEFAULT}",
        )


def _check_overlaps(parsed: ParsedDocument) -> None:
    reaches = [(number, _reach(parsed, number)) for number in _rule_numbers(parsed)]
    rules = [(number, rule) for number, rule in reaches if rule is not None]
    for at, (number, rule) in enumerate(rules):
        for earlier, other in rules[:at]:
            if rule.overlaps(other):
                parsed.refuse(
                    ("rule", number, "ports"),
                    f"{_describe(rule)} overlaps {_describe(other)}"
                    f" ({_place(parsed, ('rule', earlier, 'ports'))})",
                    "let each packet fall under one rule: part the ports, protocols or virtual IPs",
                )


def _rule_numbers(parsed: ParsedDocument) -> range:
    """Return the rules worth looking at: each pair is compared, so their count is bounded."""
    return range(min(parsed.count("rule"), RULE_COUNT_MAX))


def _reach(parsed: ParsedDocument, number: int) -> PortRule | None:
    """Return which packets a rule covers, or None if one of the keys that say so is unsound."""
    if any(("rule", number, key) in parsed.unsound for key in _REACH):
        return None
    keys = [key for key in _REACH if parsed.get("rule", number, key) is not None]
    if "ports" not in keys:
        return None
    section = RuleSection.model_construct(
        _fields_set=None, **{key: parsed.get("rule", number, key) for key in keys}
    )
    return reach(section)


def reach(section: RuleSection) -> PortRule:
    """Return the core's rule with the section's reach and nothing else of it."""
    first, last = section.port_range
    vip = None if section.virtual_ip == "all" else IpAddress.parse(section.virtual_ip)
    return PortRule(first, last, Protocol[section.protocol.upper()], vip)


def _check_unique(parsed: ParsedDocument, paths: Iterable[KeyPath], remedy: str) -> None:
    seen: dict[object, KeyPath] = {}
    for path in paths:
        value = parsed.get(*path)
        if value is None:
            continue
        if value in seen:
            wrong = f"{value} is already taken ({_place(parsed, seen[value])})"
            parsed.refuse(path, wrong, remedy)
        else:
            seen[value] = path


def _vip_paths(parsed: ParsedDocument) -> list[KeyPath]:
    others: list[KeyPath] = [
        (*_VIRTUAL_IPS, number) for number in range(parsed.count(*_VIRTUAL_IPS))
    ]
    return [("cluster", "primary_ip"), *others]


def _table(parsed: ParsedDocument, *path: str | int) -> dict[str, object]:
    value = parsed.get(*path)
    return value if isinstance(value, dict) else {}


def _place(parsed: ParsedDocument, path: KeyPath) -> str:
    return f"{spell(path)}, line {parsed.lines.find(path)}"


def _describe(rule: PortRule) -> str:
    ports = f"{rule.first_port}"
    if rule.last_port != rule.first_port:
        ports += f"-{rule.last_port}"
    return f"{rule.protocol.name.lower()} {ports} of {rule.vip or 'all virtual IPs'}"
