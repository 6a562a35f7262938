# SPDX-License-Identifier: Apache-2.0
"""A host for one agent: a network namespace with a veth pair, a configuration, and what is in it.

Knows how an operator starts an agent and asks it. Knows nothing of what should come of it.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from wlbs.linux.instance import Instance

SOURCE: Final = Path(__file__).parents[2] / "src"
DEADLINE_S: Final = 15.0
POLL_S: Final = 0.005
"""Often enough to catch an agent between two changes, and no load for the other core."""

CONFIGURATION: Final = """\
[cluster]
name = "test"
mode = "stealth"
primary_ip = "198.51.100.100"
key_file = "{key}"
interface = "eth0"
xdp = "native"

[[host]]
priority = 1
name = "h1"
dedicated_ip = "198.51.100.1"

[[host]]
priority = 2
name = "h2"
dedicated_ip = "198.51.100.2"

[[rule]]
ports = 80
protocol = "tcp"
"""

SETTINGS: Final = (
    *(
        f"net/ipv4/conf/{interface}/{name}"
        for interface in ("all", "default", "lo", "eth0")
        for name in ("arp_ignore", "arp_announce", "rp_filter")
    ),
    "net/ipv4/conf/eth0/arp_notify",
    "net/ipv6/conf/eth0/addr_gen_mode",
    "net/ipv6/conf/eth0/ndisc_notify",
    "net/mptcp/allow_join_initial_addr_port",
)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"timed out: {what}"
        threading.Event().wait(POLL_S)


@dataclass
class Site:
    """One namespace with a veth pair, a configuration, and the agents started in it."""

    name: str
    folder: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)
    source: Path = SOURCE
    """Where the package is that is run."""

    @property
    def configuration(self) -> Path:
        """Where the configuration is."""
        return self.folder / "wlbs.toml"

    @property
    def instance(self) -> Instance:
        """The places of the agent."""
        return Instance(self.name)

    def inside(self, *words: str) -> list[str]:
        """Return a command line that runs in the namespace."""
        return ["nsenter", f"--net=/run/netns/{self.name}", "--", *words]

    def run(self, *words: str) -> str:
        """Run a program in the namespace; return what it prints."""
        return subprocess.run(
            self.inside(*words), check=True, capture_output=True, text=True, timeout=DEADLINE_S
        ).stdout

    def wlbs(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command line of ours to its end."""
        return subprocess.run(
            self.inside(sys.executable, "-m", "wlbs", *words),
            check=False,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            env={**os.environ, "PYTHONPATH": str(self.source)},
        )

    def ask(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run one about this instance."""
        return self.wlbs(*words, "--instance", self.name)

    def agent(self, *words: str) -> subprocess.Popen[str]:
        """Start an agent and return at once."""
        command = (sys.executable, "-m", "wlbs", "agent", str(self.configuration))
        with (self.folder / "out").open("w") as out, (self.folder / "err").open("w") as err:
            process = subprocess.Popen(
                self.inside(*command, "--instance", self.name, *words),
                stdout=out,
                stderr=err,
                env={**os.environ, "PYTHONPATH": str(self.source)},
                text=True,
            )
        self.started.append(process)
        return process

    def ready_agent(self) -> subprocess.Popen[str]:
        """Start an agent and return when it serves."""
        process = self.agent()
        wait_until(lambda: self.said_ready() or process.poll() is not None, "ready")
        assert process.poll() is None, (self.folder / "err").read_text()
        return process

    def converged_agent(self) -> subprocess.Popen[str]:
        """Start an agent and return when it holds its share."""
        process = self.ready_agent()
        wait_until(lambda: self.status()["state"] == "converged", "convergence")
        return process

    def choose(self, mode: str) -> None:
        """Write another mode into the configuration."""
        text = self.configuration.read_text()
        self.configuration.write_text(text.replace('mode = "stealth"', f'mode = "{mode}"'))

    def hardware_address(self) -> str:
        """Return the address the interface has now."""
        (shown,) = json.loads(self.run("ip", "-j", "link", "show", "dev", "eth0"))
        return str(shown["address"])

    def status(self) -> dict[str, Any]:
        """Return what the agent says of itself."""
        answer: dict[str, Any] = json.loads(self.ask("query", "--json").stdout)
        return answer

    def said_ready(self) -> bool:
        """Whether the newest agent serves."""
        return (self.folder / "out").read_text().endswith("ready\n")

    def kill_agent_after(self, line_count: int) -> None:
        """Begin an agent and kill it once its undo record has so many lines, or it serves."""
        process, record = self.agent(), self.instance.record

        def is_far_enough() -> bool:
            lines = record.read_text().count("\n") if record.exists() else 0
            return lines >= line_count or self.said_ready() or process.poll() is not None

        wait_until(is_far_enough, f"{line_count} lines of the record")
        process.kill()
        process.wait(DEADLINE_S)

    def observe(self) -> dict[str, object]:
        """Return all of the host that an agent may touch."""
        links = json.loads(self.run("ip", "-j", "-d", "address"))
        for each in links:
            # Times and what depends on the other end are not the agent's doing.
            for address in each["addr_info"]:
                address.pop("valid_life_time", None)
                address.pop("preferred_life_time", None)
        settings = self.run("sh", "-c", f"cd /proc/sys; grep -H '' {' '.join(SETTINGS)}")
        return {
            "links": links,
            "settings": settings,
            "heard": self.run("bridge", "fdb", "show", "dev", "eth0"),
            "disciplines": self.run("tc", "-j", "qdisc"),
            "attached": self.run("bpftool", "net", "show"),
            "pins": sorted(Path("/sys/fs/bpf/wlbs").glob(f"{self.name}*")),
            # The journal outlives its agent on purpose.
            "files": sorted(
                path
                for path in Path("/run/wlbs").rglob(f"*{self.name}*")
                if path != self.instance.journal.parent
            ),
        }
