# SPDX-License-Identifier: Apache-2.0
"""The agents of a lab: their configuration, starting them, and whether they run.

Agents are started as an operator starts them, by their command line, in their host's namespace.
Knows the configuration file's form; never asks an agent anything.
"""

import json
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from wlbs.core.buckets import HashKey
from wlbs.lab.command import inside, start
from wlbs.lab.names import NODE_INTERFACE, LabNames
from wlbs.lab.sweep import processes_in
from wlbs.lab.wait import wait_until
from wlbs.linux.error import LinuxError
from wlbs.scenario.setup import ORDINARY, Setup
from wlbs.scenario.topology import Topology

READY_S_MAX: Final = 30.0
"""Loading and attaching takes well under a second; several agents at once share two cores."""

_READY: Final = re.compile(r"\bready\b")
_ENDED: Final = "the agent has ended"
_SHELL: Final = ("sh", "-c", f'"$@"; echo "{_ENDED} with status $?"', "sh")
"""Says when a program has ended, so that nobody waits for one that refused to start."""


def start_agents(
    names: LabNames,
    topology: Topology,
    setup: Setup,
    key: HashKey,
    other_keys: dict[str, HashKey],
) -> None:
    """Start every host's agent and return when all are ready; some may be given another key."""
    for host in topology.hosts:
        text = partial(_text, topology, setup)
        _write(names, host.name, other_keys.get(host.name, key), text)
        _start(names, host.name)
    for host in topology.hosts:
        _wait_ready(names, host.name)


def begin_agent(names: LabNames, host: str) -> None:
    """Start one host's agent by the configuration it has, and return when it is ready."""
    log = log_of(names, host)
    if log.exists():
        earlier_count = len(list(log.parent.glob(f"{log.stem}.*{log.suffix}")))
        log.rename(log.with_suffix(f".{earlier_count + 1}{log.suffix}"))
    _start(names, host)
    _wait_ready(names, host)


def agent_runs(names: LabNames, host: str) -> bool:
    """Tell whether an agent of this instance lives in the host's namespace."""
    return agent_process(names, host) is not None


def agent_process(names: LabNames, host: str) -> int | None:
    """Return the process of a host's agent, or None if it has none."""
    tail = _words(names, host)[2:]
    for process in processes_in(names.namespace(host)):
        words = _command_line(process).split(b"\0")[:-1]
        # The interpreter comes first; a shell that waits for the agent has it further behind.
        if words[1:2] == [b"-m"] and words[2:] == [word.encode() for word in tail]:
            return process
    return None


def log_of(names: LabNames, host: str) -> Path:
    """Return the file with what a host's agent prints."""
    return names.state / f"agent-{host}.log"


def configuration_of(names: LabNames, host: str) -> Path:
    """Return the configuration file of a host's agent."""
    return names.state / "agents" / host / "wlbs.toml"


def _start(names: LabNames, host: str) -> None:
    start(inside(names.namespace(host), *_SHELL, *_words(names, host)), log_of(names, host))


def _words(names: LabNames, host: str) -> list[str]:
    """Return the command line of a host's agent."""
    words = [sys.executable, "-m", "wlbs", "agent", str(configuration_of(names, host))]
    return [*words, "--host", host, "--instance", names.instance(host)]


def _wait_ready(names: LabNames, host: str) -> None:
    log = log_of(names, host)
    wait_until(
        lambda: bool(_READY.search(log.read_text())) or _ENDED in log.read_text(),
        f"the agent of {host}; its words are in {log}",
        seconds=READY_S_MAX,
    )
    if _ENDED in log.read_text():
        said = log.read_text().strip().replace("\n", "; ")
        raise LinuxError(what=f"the agent of {host} said: {said}", remedy="mend what it names")


def _write(names: LabNames, host: str, key: HashKey, text: Callable[[Path], str]) -> None:
    configuration = configuration_of(names, host)
    configuration.parent.mkdir(parents=True, exist_ok=True)
    key_file = configuration.with_name("key")
    key_file.touch(mode=0o600)
    key_file.write_text(key.octets.hex() + "\n")
    configuration.write_text(text(key_file))


def _text(topology: Topology, setup: Setup, key_file: Path) -> str:
    hosts = "".join(
        f'\n[[host]]\npriority = {host.number}\nname = "{host.name}"\n'
        f'dedicated_ip = "{host.address}"\n'
        for host in topology.hosts
    )
    return f"""\
[cluster]
name = "lab"
{_mode_lines(setup)}primary_ip = "{topology.vip}"
key_file = "{key_file}"
interface = "{NODE_INTERFACE}"
xdp = "native"
{hosts}
[[rule]]
ports = 80
protocol = "tcp"
affinity = "none"

[[rule]]
ports = 81
protocol = "tcp"
affinity = "single"
"""


def _mode_lines(setup: Setup) -> str:
    """Return the keys that say how frames reach the hosts; what is the default goes unsaid."""
    lines = [f'mode = "{setup.mode}"\n']
    if not setup.masks_source:
        lines.append("mask_source = false\n")
    if setup.healing != ORDINARY.healing:
        lines.append(f"healing = {json.dumps(sorted(setup.healing))}\n")
    return "".join(lines)


def _command_line(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        # It ended between the list and this look.
        return b""
