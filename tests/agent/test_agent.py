# SPDX-License-Identifier: Apache-2.0
"""The agent as an operator meets it: started, asked, stopped and killed, in a namespace of its own.

Every test compares what the host was before with what it is afterwards.
"""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from wlbs.linux import namespace
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
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
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
                env={**os.environ, "PYTHONPATH": str(SOURCE)},
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

    def status(self) -> dict[str, Any]:
        """Return what the agent says of itself."""
        answer: dict[str, Any] = json.loads(self.ask("query", "--json").stdout)
        return answer

    def said_ready(self) -> bool:
        """Whether the newest agent serves."""
        return (self.folder / "out").read_text().endswith("ready\n")

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


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Build the namespace with its veth pair; end every agent and remove it all afterwards."""
    if os.geteuid() != 0:
        if os.environ.get("STRICT"):
            pytest.fail("needs root")
        pytest.skip("needs root")
    site = Site(f"wlbs-t-{secrets.token_hex(4)}", tmp_path)
    key = tmp_path / "key"
    key.touch(mode=0o600)
    key.write_text("00112233445566778899aabbccddeeff\n")
    site.configuration.write_text(CONFIGURATION.format(key=key))
    namespace.create(site.name)
    try:
        site.run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "far")
        # No addresses the kernel makes by itself, and at its own time.
        site.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
        site.run("ip", "address", "add", "198.51.100.1/24", "dev", "eth0")
        site.run("ip", "link", "set", "far", "up")
        site.run("ip", "link", "set", "eth0", "up")
        # Up once, for the queueing discipline it then has; the address is as on a new namespace.
        site.run("ip", "link", "set", "lo", "up")
        site.run("ip", "link", "set", "lo", "down")
        site.run("ip", "address", "flush", "dev", "lo")
        yield site
    finally:
        for process in site.started:
            if process.poll() is None:
                process.kill()
            process.wait(DEADLINE_S)
        if site.instance.record.exists():
            site.ask("undo")
        shutil.rmtree(site.instance.journal.parent, ignore_errors=True)
        namespace.remove(site.name)


def test_it_serves_answers_and_leaves_the_host_as_it_was(site: Site) -> None:
    before = site.observe()
    process = site.converged_agent()
    while_serving = site.observe()
    assert all(while_serving[part] != before[part] for part in ("links", "settings", "pins"))
    status = site.status()
    assert (status["state"], status["lease_live"]) == ("converged", True)
    assert [(host["name"], host["state"], host["shares"]) for host in status["hosts"]] == [
        ("h1", "converged", [4096, 4096]),
        ("h2", "unheard", [0, 0]),
    ]
    shown = site.ask("query").stdout
    assert "100.0 %" in shown
    assert "02:bf:c6:33:64:64" in shown
    process.send_signal(signal.SIGTERM)
    assert process.wait(DEADLINE_S) == 0, (site.folder / "err").read_text()
    assert site.observe() == before


def test_its_lease_stays_live_for_longer_than_one_lease(site: Site) -> None:
    site.converged_agent()
    deadline = time.monotonic() + 2.5
    while time.monotonic() < deadline:
        assert site.status()["lease_live"]


def test_the_host_is_stopped_started_and_drained(site: Site) -> None:
    site.converged_agent()
    stopped = site.ask("stop")
    assert (stopped.returncode, stopped.stdout) == (
        0,
        "this host was converged and is stopped; 0 connections were cut\n",
    )
    status = site.status()
    assert (status["state"], status["lease_live"]) == ("stopped", False)
    for word in ("stop", "drainstop"):
        again = site.ask(word)
        assert (again.returncode, again.stderr) == (1, "wlbs: this host is stopped already\n")
    assert site.ask("start").returncode == 0
    wait_until(lambda: site.status()["state"] == "converged", "convergence")
    drained = site.ask("drainstop", "--wait", "5")
    assert (drained.returncode, drained.stdout.splitlines()[-1]) == (0, "this host has stopped")
    log = [json.loads(line) for line in (site.folder / "err").read_text().splitlines()]
    assert {"state", "membership"} <= {line["event"] for line in log}
    moves = [(line["before"], line["after"]) for line in log if line["event"] == "state"]
    assert moves == [
        ("stopped", "joining"),
        ("joining", "converging"),
        ("converging", "converged"),
        ("converged", "stopped"),
        ("stopped", "joining"),
        ("joining", "converging"),
        ("converging", "converged"),
        ("converged", "draining"),
        ("draining", "stopped"),
    ]


def test_its_journal_repeats_itself(site: Site) -> None:
    process = site.converged_agent()
    process.send_signal(signal.SIGTERM)
    assert process.wait(DEADLINE_S) == 0
    journal = site.instance.journal
    try:
        assert journal.stat().st_mode & 0o777 == 0o600
        assert site.wlbs("replay", str(journal)).returncode == 0
        lines = journal.read_text().splitlines(keepends=True)
        changed = site.folder / "changed"
        changed.write_text("".join(line.replace("DRAINING", "STOPPED") for line in lines))
        other = site.wlbs("replay", str(changed), "--json")
        assert (other.returncode, json.loads(other.stdout)["same"]) == (1, False)
    finally:
        shutil.rmtree(journal.parent)


@pytest.mark.parametrize("line_count", [1, 2, 3, 5, 7, 9])
def test_killed_at_any_moment_it_is_undone(site: Site, line_count: int) -> None:
    before = site.observe()
    process = site.agent()
    record = site.instance.record

    def is_far_enough() -> bool:
        lines = record.read_text().count("\n") if record.exists() else 0
        return lines >= line_count or site.said_ready() or process.poll() is not None

    wait_until(is_far_enough, f"{line_count} lines of the record")
    process.kill()
    process.wait(DEADLINE_S)
    undone = site.ask("undo")
    assert undone.returncode == 0, undone.stderr
    assert site.observe() == before
    assert site.ask("undo").stdout == f"{site.name}: nothing to undo\n"


def test_killed_while_serving_it_is_undone_or_taken_over(site: Site) -> None:
    before = site.observe()
    site.converged_agent()
    nonce = site.status()["hosts"][0]["boot_nonce"]
    site.started[-1].kill()
    site.started[-1].wait(DEADLINE_S)
    process = site.converged_agent()
    assert "took over the data path of a dead agent" in (site.folder / "out").read_text()
    assert site.status()["hosts"][0]["boot_nonce"] == nonce
    process.kill()
    process.wait(DEADLINE_S)
    undone = site.ask("undo")
    assert undone.returncode == 0, undone.stderr
    assert "removed 198.51.100.100 from lo" in undone.stdout
    assert site.observe() == before


def test_what_another_configuration_left_is_undone_and_not_taken_over(site: Site) -> None:
    before = site.observe()
    site.ready_agent().kill()
    site.started[-1].wait(DEADLINE_S)
    text = site.configuration.read_text()
    site.configuration.write_text(text.replace("51.100.100", "51.100.101"))
    process = site.ready_agent()
    assert "undid what a dead agent" in (site.folder / "out").read_text()
    process.send_signal(signal.SIGTERM)
    assert process.wait(DEADLINE_S) == 0
    assert site.observe() == before


def test_nothing_is_undone_while_the_agent_lives(site: Site) -> None:
    process = site.ready_agent()
    refused = site.ask("undo")
    assert refused.returncode == 3
    assert f"process {process.pid}" in refused.stderr
    assert f"{site.name}: lives, left alone" in site.wlbs("undo", "--all").stdout
    assert json.loads(site.ask("query", "--json").stdout)["lease_live"]


def test_a_second_agent_is_refused_by_instance_and_by_interface(site: Site) -> None:
    process = site.ready_agent()
    before = site.observe()
    for instance in (site.name, f"{site.name}-2"):
        second = site.wlbs("agent", str(site.configuration), "--instance", instance)
        assert second.returncode == 3
        assert f"process {process.pid}" in second.stderr
    assert site.observe() == before


def test_a_virtual_ip_held_elsewhere_is_refused_with_its_interface(site: Site) -> None:
    site.run("ip", "address", "add", "198.51.100.100/24", "dev", "far")
    before = site.observe()
    refused = site.ask("agent", str(site.configuration))
    assert refused.returncode == 3
    assert "198.51.100.100 is on far" in refused.stderr
    assert "ip address del 198.51.100.100/24 dev far" in refused.stderr
    assert site.observe() == before


def test_a_program_that_keeps_virtual_ips_is_named(site: Site) -> None:
    site.run("ip", "address", "add", "198.51.100.100/32", "dev", "eth0")
    program = site.folder / "keepalived"
    shutil.copy("/bin/sleep", program)
    keeper = subprocess.Popen(site.inside(str(program), "60"))
    try:
        comm = Path(f"/proc/{keeper.pid}/comm")
        wait_until(lambda: comm.read_text() == "keepalived\n", "the program")
        refused = site.ask("agent", str(site.configuration))
    finally:
        keeper.kill()
        keeper.wait(DEADLINE_S)
    assert refused.returncode == 3
    assert f"keepalived (process {keeper.pid})" in refused.stderr


def test_ports_without_a_listener_or_with_translation_are_named(site: Site) -> None:
    site.run("nft", "add table ip t")
    site.run("nft", "add chain ip t c { type nat hook prerouting priority -100; }")
    site.run("nft", "add rule ip t c tcp dport 80 dnat to 198.51.100.9:8080")
    site.ready_agent()
    said = (site.folder / "out").read_text()
    assert "warning: nobody listens on TCP port 80 of 198.51.100.100" in said
    assert "translates (DNAT) port 80" in said


def test_a_machine_that_is_no_host_is_told_so(site: Site) -> None:
    site.run("ip", "address", "flush", "dev", "eth0")
    before = site.observe()
    refused = site.ask("agent", str(site.configuration))
    assert refused.returncode == 3
    assert "198.51.100.1 on eth0 (h1)" in refused.stderr
    named = site.ask("agent", str(site.configuration), "--host", "h1")
    assert named.returncode == 3
    assert "the dedicated IP 198.51.100.1 of h1 is not on eth0" in named.stderr
    assert site.observe() == before


def test_a_bad_configuration_is_refused_and_nothing_is_touched(site: Site) -> None:
    before = site.observe()
    site.configuration.write_text(site.configuration.read_text().replace("ports = 80", "ports = x"))
    refused = site.ask("agent", str(site.configuration))
    assert refused.returncode == 2, refused.stderr
    assert site.observe() == before


def test_an_interface_that_is_down_is_brought_up_and_taken_down_again(site: Site) -> None:
    site.run("ip", "link", "set", "eth0", "down")
    before = site.observe()
    process = site.ready_agent()
    process.send_signal(signal.SIGINT)
    assert process.wait(DEADLINE_S) == 0
    assert site.observe() == before


def test_without_an_agent_a_query_says_what_to_type(site: Site) -> None:
    refused = site.ask("query")
    assert refused.returncode == 3
    assert "wlbs agent CONFIG" in refused.stderr


def test_without_asserts_it_does_not_start(site: Site) -> None:
    refused = subprocess.run(
        [sys.executable, "-O", "-m", "wlbs", "agent", str(site.configuration)],
        check=False,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )
    assert refused.returncode == 3
    assert "-O" in refused.stderr


def test_a_query_imports_neither_pydantic_nor_pyroute2() -> None:
    code = (
        "import sys; from wlbs.cli.main import run; run(['query', '--help']); "
        "print({'pydantic', 'pyroute2', 'rich'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )
    assert done.stdout.endswith("set()\n")
