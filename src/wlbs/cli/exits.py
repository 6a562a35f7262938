# SPDX-License-Identifier: Apache-2.0
"""The exit statuses of every command, and the one place that maps errors to them."""

from enum import IntEnum, unique


@unique
class Exit(IntEnum):
    """What a command's exit status means."""

    OK = 0
    """Done; of a scenario: every expectation held."""
    FAILED = 1
    """Not done; of a scenario: an expectation did not hold."""
    CONFIGURATION = 2
    """The configuration or the command's own words are wrong; nothing was touched."""
    ENVIRONMENT = 3
    """The kernel, a privilege, an interface or a program is missing or in the way."""
