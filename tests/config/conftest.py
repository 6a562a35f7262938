# SPDX-License-Identifier: Apache-2.0
"""A folder with a good key file, and a way to put a configuration into it."""

from collections.abc import Callable
from pathlib import Path

import pytest

DIGITS = "00112233445566778899aabbccddeeff"

GOOD = """\
[cluster]
name = "web"
primary_ip = "10.0.0.100"
virtual_ips = [
  "10.0.0.101",
  "10.0.0.102",
]
key_file = "web.key"
interface = "eth0"

[[host]]
priority = 2
name = "h2"
dedicated_ip = "10.0.0.2"
interface = "eth1"
xdp = "generic"
tc = "clsact"

[[host]]
priority = 1
name = "h1"
dedicated_ip = "10.0.0.1"

[[rule]]
ports = 80
protocol = "tcp"
affinity = "none"

[[rule]]
ports = "8000-8099"
virtual_ip = "10.0.0.101"
affinity = "network"
load_weights = { h1 = 30, h2 = 60 }
"""

Write = Callable[[str], Path]


@pytest.fixture
def good() -> str:
    """Return a configuration without problems."""
    return GOOD


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that puts a text beside a good key file and returns its path."""
    key_file = tmp_path / "web.key"
    key_file.write_text(DIGITS + "\n")
    key_file.chmod(0o600)

    def put(text: str) -> Path:
        path = tmp_path / "web.toml"
        path.write_text(text)
        return path

    return put
