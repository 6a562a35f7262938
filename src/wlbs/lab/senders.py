# SPDX-License-Identifier: Apache-2.0
"""The programs in a lab that send frames with the VMAC as their source.

Knows in whose namespace each runs, and how it says that it has begun. Knows nothing of what comes
of the frames.
"""

import select
import subprocess
import sys

from wlbs.core.address import Mac
from wlbs.lab.command import inside
from wlbs.lab.leak import SENT
from wlbs.lab.names import NODE_INTERFACE, LabNames
from wlbs.linux import link, namespace
from wlbs.linux.error import LinuxError
from wlbs.scenario.leaking import frame_of
from wlbs.scenario.steps import SendFrom, Way
from wlbs.scenario.topology import Topology

END_S_MAX = 5.0
"""How long a program that is told to end may take; it needs milliseconds."""


class Senders:
    """Everything that sends in one lab, by node."""

    def __init__(self, names: LabNames, topology: Topology) -> None:
        """Send nothing yet."""
        self._names = names
        self._topology = topology
        self._running: dict[str, list[subprocess.Popen[bytes]]] = {}

    def send_from(self, order: SendFrom) -> None:
        """Begin to send, and return when the first frame is on its way."""
        node = self._topology.node(order.node)
        is_under = order.way is Way.UNDER
        where = node.switch if is_under else node.name
        interface = node.name if is_under else NODE_INTERFACE
        frame = frame_of(order, self._topology, self._device(order)).hex()
        words = (order.way.value, interface, frame, str(order.count), str(order.interval_s))
        program = (sys.executable, "-m", "wlbs.lab.leak", *words)
        process = subprocess.Popen(
            inside(self._names.namespace(where), *program),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        self._running.setdefault(order.node, []).append(process)
        assert process.stdout is not None, "a pipe was asked for"
        if process.stdout.readline() != SENT:
            what = f"{order.node} could not send: the program in its place ended"
            raise LinuxError(what, "read its words above")

    def _device(self, order: SendFrom) -> Mac:
        """Return the address that a node's interface has now."""
        with namespace.entered(self._names.namespace(order.node)):
            return link.find(NODE_INTERFACE).mac

    def are_idle(self, node: str) -> bool:
        """Whether everything a node was told to send has been sent."""
        outputs = [each.stdout for each in self._running.get(node, []) if each.stdout]
        # What is left to read is that all was sent, or that the program has ended.
        return len(select.select(outputs, (), (), 0)[0]) == len(outputs)

    def stop(self, node: str) -> None:
        """End what a node sends."""
        for process in self._running.pop(node, []):
            process.terminate()
            process.wait(END_S_MAX)
            assert process.stdout is not None, "a pipe was asked for"
            process.stdout.close()

    def end(self) -> None:
        """End everything."""
        for node in tuple(self._running):
            self.stop(node)
