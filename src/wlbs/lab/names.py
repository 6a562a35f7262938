# SPDX-License-Identifier: Apache-2.0
"""How everything a lab makes is called, so that a person can guess it and a sweep can find it.

Namespaces are ``wlbs-LAB-NODE``, agents' instances ``LAB-HOST``, state lies in
``/run/wlbs/lab/LAB``. Knows names and paths; touches nothing.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DEFAULT_LAB: Final = "lab"
LABS: Final = Path("/run/wlbs/lab")
RUN: Final = Path("/run/wlbs")
PINS: Final = Path("/sys/fs/bpf/wlbs")
NAMESPACES: Final = Path("/run/netns")
NODE_INTERFACE: Final = "eth0"
BRIDGE: Final = "br0"
PASS_PROGRAM: Final = Path(__file__).parent / "bpf" / "pass.bpf.o"

LAB_NAME: Final = re.compile(r"[a-z][a-z0-9]{0,15}")
_NAMESPACE: Final = re.compile(r"wlbs-([a-z][a-z0-9]{0,15})-([hcsx][0-9]+)")


@dataclass(frozen=True, slots=True)
class LabNames:
    """The names of one lab."""

    lab: str = DEFAULT_LAB

    @property
    def state(self) -> Path:
        """The folder with the lab's description, logs and captures."""
        return LABS / self.lab

    def namespace(self, node: str) -> str:
        """Return the network namespace of a node or a switch."""
        return f"wlbs-{self.lab}-{node}"

    def instance(self, host: str) -> str:
        """Return the instance name of a host's agent."""
        return f"{self.lab}-{host}"

    def pins(self, host: str) -> Path:
        """Return the folder where a host's agent pins its programs and maps."""
        return PINS / self.instance(host)


def lab_of_namespace(namespace: str) -> str | None:
    """Return the lab a namespace belongs to, or None if it is no lab's."""
    found = _NAMESPACE.fullmatch(namespace)
    return found[1] if found else None


def node_of_namespace(namespace: str) -> str | None:
    """Return the node a namespace stands for, or None if it is no lab's."""
    found = _NAMESPACE.fullmatch(namespace)
    return found[2] if found else None
