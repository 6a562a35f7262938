# SPDX-License-Identifier: Apache-2.0
"""What the operating system refused, in words for an operator, with the cure.

The command line maps these to exit status 3. Knows no particular call; whoever makes the call
knows what its failure means and what to type.
"""


class LinuxError(Exception):
    """The environment is not as it must be: ``what`` is wrong, ``remedy`` is what to type or do."""

    def __init__(self, what: str, remedy: str) -> None:
        """Keep both halves apart, so that a person and a script can each have theirs."""
        super().__init__(f"{what}; {remedy}")
        self.what = what
        self.remedy = remedy


class NotSupportedError(LinuxError):
    """The kernel or driver does not have a feature: found by trying, never by its version."""
