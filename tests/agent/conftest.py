# SPDX-License-Identifier: Apache-2.0
"""A site for each test of the agent, removed whatever happens."""

import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.agent.site import CONFIGURATION, DEADLINE_S, Site

from wlbs.linux import namespace


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
