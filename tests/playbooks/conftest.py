# SPDX-License-Identifier: Apache-2.0
"""The option with which playbooks are written anew."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option; it is known wherever this folder is named on the command line."""
    parser.addoption("--rewrite", action="store_true", help="write the playbooks as they are now")
