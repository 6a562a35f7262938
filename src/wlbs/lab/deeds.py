# SPDX-License-Identifier: Apache-2.0
"""What is done to hosts' agents in a lab: signals by fate, commands as an operator types them.

Knows processes, the command line and, of the kernel, which table a host decides by. Asks no agent
anything.
"""

import os
import signal
import subprocess
import sys
from typing import Final, assert_never

from wlbs.lab.agents import agent_process, begin_agent, log_of
from wlbs.lab.command import inside, run
from wlbs.lab.kernel import is_stopped
from wlbs.lab.names import LabNames
from wlbs.lab.wait import wait_until
from wlbs.linux.error import LinuxError
from wlbs.scenario.steps import Deed, Do

DRAIN_S_MAX: Final = 60
"""How long the command waits that asked for a drainstop; scenarios wait less."""

END_S_MAX: Final = 30.0
"""An agent that is told to end drains first; its own limit is shorter than this."""


class Deeds:
    """All that is done to the agents of one lab."""

    def __init__(self, names: LabNames) -> None:
        """Nothing is done yet."""
        self._names = names
        self._commands: dict[str, subprocess.Popen[bytes]] = {}
        """Drainstops that were asked for, by host; the command may wait for the last connection."""

    def do(self, do: Do) -> None:
        """Do it, and return when it is done; a drainstop has then only been asked for."""
        match do.deed:
            case Deed.STALL:
                os.kill(self._process(do.host), signal.SIGSTOP)
            case Deed.RESUME:
                os.kill(self._process(do.host), signal.SIGCONT)
            case Deed.KILL:
                self._end(do.host, signal.SIGKILL)
            case Deed.END:
                self._end(do.host, signal.SIGTERM)
            case Deed.BEGIN:
                begin_agent(self._names, do.host)
            case Deed.START | Deed.STOP:
                self._end_command(do.host)
                run(self._command(do.host, do.deed.value))
            case Deed.DRAINSTOP:
                self._begin_command(do.host, do.deed.value, "--wait", str(DRAIN_S_MAX))
            case _:
                assert_never(do.deed)

    def has_stopped(self, host: str) -> bool:
        """Tell whether a host's agent has ended, or its kernel serves nothing any more.

        A command that is to return when the host has stopped must have returned.
        """
        if agent_process(self._names, host) is None:
            return True
        command = self._commands.get(host)
        is_waiting = command is not None and command.poll() is None
        return not is_waiting and is_stopped(self._names, host)

    def close(self) -> None:
        """End the commands that still wait."""
        for host in tuple(self._commands):
            self._end_command(host)

    def _process(self, host: str) -> int:
        process = agent_process(self._names, host)
        if process is None:
            raise LinuxError(
                what=f"{host} has no agent; its words are in {log_of(self._names, host)}",
                remedy="let the scenario begin it first",
            )
        return process

    def _end(self, host: str, number: signal.Signals) -> None:
        os.kill(self._process(host), number)
        wait_until(
            lambda: agent_process(self._names, host) is None,
            f"the agent of {host} to end",
            seconds=END_S_MAX,
        )

    def _command(self, host: str, word: str) -> tuple[str, ...]:
        words = (sys.executable, "-m", "wlbs", word, "--instance", self._names.instance(host))
        return inside(self._names.namespace(host), *words)

    def _end_command(self, host: str) -> None:
        """End the command that still waits for this host: what it waits for is no longer wanted."""
        command = self._commands.pop(host, None)
        if command is not None:
            command.kill()
            command.wait()

    def _begin_command(self, host: str, word: str, *options: str) -> None:
        self._end_command(host)
        log = self._names.state / f"{word}-{host}.log"
        with log.open("wb") as output:
            self._commands[host] = subprocess.Popen(
                (*self._command(host, word), *options),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
