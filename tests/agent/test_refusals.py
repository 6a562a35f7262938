# SPDX-License-Identifier: Apache-2.0
"""What the agent refuses or warns of, and that it touches nothing then."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from tests.agent.site import DEADLINE_S, SOURCE, Site, wait_until


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
