# SPDX-License-Identifier: Apache-2.0
"""A network namespace of its own for each test; the test's thread is in it."""

import os
import secrets
from collections.abc import Iterator

import pytest

from wlbs.linux import link, namespace


@pytest.fixture
def fresh_namespace() -> Iterator[str]:
    """Enter a new namespace, which has nothing but a loopback interface that is down."""
    if os.geteuid() != 0:
        if os.environ.get("STRICT"):
            pytest.fail("needs root")
        pytest.skip("needs root")
    name = f"wlbs-test-{secrets.token_hex(4)}"
    namespace.create(name)
    try:
        with namespace.entered(name):
            link.set_up("lo", up=False)
            yield name
    finally:
        namespace.remove(name)
