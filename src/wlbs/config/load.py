# SPDX-License-Identifier: Apache-2.0
"""From a configuration file to the core's cluster and each host's settings, or to every problem.

Knows the order of the steps: read, parse, check the shape, check between keys, read the secret,
assemble. Knows nothing of which host this is, or of whether an interface exists: the file is the
same on every host, and only the agent can tell.
"""

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from wlbs.config.checks import check_between_keys, reach
from wlbs.config.document import ParsedDocument
from wlbs.config.error import ConfigError, Problem
from wlbs.config.lines import Lines
from wlbs.config.models import Document, HostSection, RuleSection
from wlbs.config.secret import SecretError, read_secret
from wlbs.config.shape import check_shape
from wlbs.core.address import IpAddress
from wlbs.core.buckets import KEY_SIZE, HashKey
from wlbs.core.cluster import TIMINGS, Cluster, Healing, Host, Mode, TcHook, XdpMode
from wlbs.core.rules import Affinity, FilteringMode, HostIndex, PortRule

SIZE_MAX: Final = 1 << 20
"""Bytes; the largest configuration there can be, 64 hosts and 32 rules, is a fiftieth of it."""

_PURPOSE: Final = b"wlbs bucket hash"
_HEARTBEATS: Final = b"wlbs heartbeats"
"""Keep the keys that are made of one secret apart (BLAKE2's ``person``, RFC 7693)."""

HEARTBEAT_KEY_SIZE: Final = 32

_SYNTAX_REMEDY: Final = "mend the TOML there (https://toml.io); strings stand in double quotes"


@dataclass(frozen=True, slots=True)
class HostSettings:
    """How one host runs its part of the data path."""

    interface: str
    xdp: XdpMode
    tc: TcHook


@dataclass(frozen=True, slots=True)
class Configuration:
    """A configuration without problems."""

    cluster: Cluster
    settings: Mapping[HostIndex, HostSettings]
    warnings: tuple[Problem, ...]


def load(path: Path) -> Configuration:
    """Return the configuration in a file; ConfigError with every problem if there is one."""
    parsed = _parse(path, _read(path))
    document = check_shape(parsed)
    check_between_keys(parsed)
    secret = _secret(path, parsed)
    if parsed.problems:
        raise ConfigError(path, tuple(parsed.problems))
    assert document is not None, "the models refused it and named no problem"
    return Configuration(
        cluster=_cluster(document, secret),
        settings={HostIndex(h.priority - 1): _settings(document, h) for h in document.host},
        warnings=tuple(sorted(parsed.warnings)),
    )


def bucket_hash_key(secret: bytes) -> HashKey:
    """Derive the key of the bucket hash from the cluster's secret."""
    return HashKey(hashlib.blake2b(secret, person=_PURPOSE, digest_size=KEY_SIZE).digest())


def heartbeat_key(secret: bytes) -> bytes:
    """Derive the key that authenticates heartbeats from the cluster's secret."""
    return hashlib.blake2b(secret, person=_HEARTBEATS, digest_size=HEARTBEAT_KEY_SIZE).digest()


def _read(path: Path) -> str:
    """Return the file's text; line 1 stands for a file that cannot be read at all."""
    try:
        with path.open("rb") as file:
            content = file.read(SIZE_MAX + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        remedy = "name a file that you may read; `wlbs init` prints one to start from"
        raise _refusal(path, 1, f"cannot read it: {reason}", remedy) from error
    if len(content) > SIZE_MAX:
        wrong = f"it has more than {SIZE_MAX} bytes, so it is no configuration"
        raise _refusal(path, 1, wrong, "name the configuration file")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _refusal(path, line, "this is not UTF-8", "save the file as UTF-8") from error


def _parse(path: Path, text: str) -> ParsedDocument:
    try:
        return ParsedDocument(tomllib.loads(text), Lines(text))
    except RecursionError as error:
        wrong = "the values are nested too deeply"
        raise _refusal(path, 1, wrong, "a configuration needs two levels") from error
    except ValueError as error:  # TOMLDecodeError, and a number with thousands of digits
        found = re.search(r" \(at line (\d+), column \d+\)$", str(error))
        line = int(found.group(1)) if found else text.rstrip("\n").count("\n") + 1
        wrong = re.sub(r" \(at .*\)$", "", str(error))
        raise _refusal(path, line, wrong, _SYNTAX_REMEDY) from error


def _refusal(path: Path, line: int, wrong: str, remedy: str) -> ConfigError:
    return ConfigError(path, (Problem(line, "the file", wrong, remedy),))


def _secret(path: Path, parsed: ParsedDocument) -> bytes:
    """Return the secret; its problems join the others, so that one check shows them all."""
    key_path = ("cluster", "key_file")
    name = parsed.text(*key_path)
    if name is None:
        return b""
    try:
        return read_secret(path.parent / name)
    except SecretError as error:
        parsed.refuse(key_path, error.wrong, error.remedy)
        return b""


def _cluster(document: Document, secret: bytes) -> Cluster:
    section = document.cluster
    hosts = [
        Host(host.priority, host.name, IpAddress.parse(host.dedicated_ip)) for host in document.host
    ]
    indexes = {host.name: host.index for host in hosts}
    return Cluster(
        name=section.name,
        mode=Mode(section.mode),
        vips=tuple(IpAddress.parse(vip) for vip in (section.primary_ip, *section.virtual_ips)),
        hosts=tuple(sorted(hosts, key=lambda host: host.priority)),
        rules=tuple(_rule(rule, indexes) for rule in document.rule),
        key=bucket_hash_key(secret),
        heartbeat_key=heartbeat_key(secret),
        timing=TIMINGS[section.timing],
        masks_source=section.mask_source,
        healing=frozenset(map(Healing, section.healing)),
    )


def _rule(section: RuleSection, indexes: Mapping[str, HostIndex]) -> PortRule:
    return replace(
        reach(section),
        mode=FilteringMode[section.mode.upper()],
        affinity=Affinity[section.affinity.upper()],
        load_weights={indexes[name]: weight for name, weight in section.load_weights.items()},
    )


def _settings(document: Document, host: HostSection) -> HostSettings:
    interface = host.interface or document.cluster.interface
    assert interface is not None, "a host without an interface passed the checks"
    return HostSettings(
        interface=interface,
        xdp=XdpMode(host.xdp or document.cluster.xdp),
        tc=TcHook(host.tc or document.cluster.tc),
    )
