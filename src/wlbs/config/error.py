# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a configuration: every problem at once, each with its line and its cure.

A module of its own, because the command line needs these names on every run and must not pay for
pydantic with each. Knows nothing of TOML or of what a configuration contains.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing to change: on which line, under which key, what is wrong, what to write."""

    line: int
    """1-based; of the key itself, or of its section where the key is missing."""
    where: str
    wrong: str
    remedy: str

    def describe(self, path: Path) -> str:
        """Return the problem as compilers write theirs, so that editors can jump to the line."""
        return f"{path}:{self.line}: {self.where}: {self.wrong}\n  cure: {self.remedy}"


class ConfigError(Exception):
    """A configuration that cannot be used, with every problem found in it, in order of lines."""

    def __init__(self, path: Path, problems: tuple[Problem, ...]) -> None:
        """Sort the problems; there must be at least one."""
        assert problems, "an error without a problem"
        super().__init__(path, problems)
        self.path = path
        self.problems = tuple(sorted(problems))

    def __str__(self) -> str:
        """Write every problem, one below the other."""
        return "\n".join(problem.describe(self.path) for problem in self.problems)
