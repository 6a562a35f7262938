# SPDX-License-Identifier: Apache-2.0
"""Build hook: compiles the eBPF programs into the package, with the clang inside ``ziglang``.

The objects go into wheel, sdist and editable installs and never into git.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCES = ("src/wlbs/datapath/bpf", "src/wlbs/lab/bpf")
"""Folders whose ``*.bpf.c`` are each compiled to an object of the same name beside them."""

COMPILER = (sys.executable, "-m", "ziglang", "cc", "-target", "bpfel-freestanding", "-mcpu=v3")
"""v3 (Linux 5.1) has 32-bit arithmetic and jumps; -O2 because the verifier expects inlining."""

FLAGS = ("-O2", "-g", "-Wall", "-Wextra", "-Werror", "-fno-stack-protector", "-c")


class CompileBpf(BuildHookInterface[BuilderConfig]):
    """Compile every program before the package is assembled."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile; a program that does not compile ends the build with the compiler's own words."""
        del version, build_data
        for folder in SOURCES:
            for source in sorted((Path(self.root) / folder).glob("*.bpf.c")):
                target = source.with_suffix(".o")
                subprocess.run([*COMPILER, *FLAGS, str(source), "-o", str(target)], check=True)
