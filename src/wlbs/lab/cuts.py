# SPDX-License-Identifier: Apache-2.0
"""What a lab's switches drop: cuts from one port to another, and floods above a limit.

Done by programs on the way out of each port and into it, the twins of ``bpf/cut.bpf.c``, so that a
cut is in force at once and ends at once. Knows the programs' maps and the ports' interface numbers.
Knows nothing of why something is dropped.
"""

import errno
import os
import struct
from pathlib import Path
from typing import Final

from wlbs.core.address import Mac
from wlbs.lab.names import LabNames
from wlbs.linux import libbpf, link, namespace
from wlbs.linux.clsact import ClsactFilter
from wlbs.scenario.steps import Cut, Traffic
from wlbs.scenario.topology import Topology

PROGRAM: Final = Path(__file__).parent / "bpf" / "cut.bpf.o"

_PATH: Final = struct.Struct("<II")
_TRAFFIC: Final = struct.Struct("<I")
_LIMIT: Final = struct.Struct("<I")
_VMAC: Final = struct.Struct("<Q")
_FIRST: Final = bytes(4)
_EVERY_PORT: Final = 0
_ANY_NUMBER: Final = 0
_BITS: Final = {
    Traffic.ALL: 1,
    Traffic.HEARTBEATS: 2,
    Traffic.CLUSTER: 4,
    Traffic.ANSWERS: 8,
}
_TCX: Final = {ClsactFilter.INGRESS: 46, ClsactFilter.EGRESS: 47}
"""``enum bpf_attach_type``; TCX since Linux 6.6 (commit e420bed02507)."""


class Cuts:
    """What a lab's switches do not forward."""

    def __init__(self, names: LabNames, topology: Topology, vmac: Mac) -> None:
        """Put the program on every port of each switch; nothing is cut yet."""
        self._topology = topology
        self._switches = {
            switch: _SwitchCuts(names.namespace(switch), vmac) for switch in topology.switches
        }

    def cut(self, cut: Cut) -> None:
        """Drop what this cut says, beside what is dropped already.

        A switch knows by which of its ports a frame came, not who sent it: in a tree the sender
        and the receiver of a cut sit at one switch, or one of them is everybody.
        """
        at = {self._topology.node(each).switch for each in (cut.sender, cut.receiver) if each}
        assert len(at) <= 1, f"{cut.sender} and {cut.receiver} are not at the same switch"
        for switch in at or set(self._switches):
            self._switches[switch].cut(cut)

    def heal(self) -> None:
        """Forward everything again."""
        for switch in self._switches.values():
            switch.heal()

    def limit_flooding(self, frames_per_s: int | None) -> None:
        """Drop what is flooded of each port above this; None: nothing."""
        for switch in self._switches.values():
            switch.limit_flooding(frames_per_s)

    def close(self) -> None:
        """Take the programs off again; what was put as a filter goes with the namespace."""
        for switch in self._switches.values():
            switch.close()


class _SwitchCuts:
    """What one switch does not forward."""

    def __init__(self, switch: str, vmac: Mac) -> None:
        """Put the program for cuts on every port; the one for storms comes with a first limit."""
        self._object = libbpf.BpfObject(PROGRAM)
        self._maps = dict(self._object.maps())
        self._programs = dict(self._object.programs())
        octets = int.from_bytes(vmac.octets, "little")
        libbpf.update(self._maps["vmac"], _FIRST, _VMAC.pack(octets))
        self._switch = switch
        self._in_force: dict[bytes, int] = {}
        self._links: list[int] = []
        self._limits = False
        with namespace.entered(switch):
            self._ports = {each.name: each.index for each in link.links()}
        self._attach("cut", ClsactFilter.EGRESS)

    def cut(self, cut: Cut) -> None:
        """Drop what this cut says, beside what is dropped already."""
        key = _PATH.pack(self._port(cut.sender), self._port(cut.receiver))
        self._put(key, self._in_force.get(key, 0) | _BITS[cut.traffic])

    def heal(self) -> None:
        """Forward everything again."""
        for key in self._in_force:
            self._put(key, 0)

    def limit_flooding(self, frames_per_s: int | None) -> None:
        """Set the limit of each port."""
        assert frames_per_s is None or frames_per_s > 0, "a limit of nothing would cut everything"
        libbpf.update(self._maps["limit"], _FIRST, _LIMIT.pack(frames_per_s or _ANY_NUMBER))
        if frames_per_s and not self._limits:
            self._attach("storm", ClsactFilter.INGRESS)
            self._limits = True

    def close(self) -> None:
        """Take the programs off again."""
        while self._links:
            os.close(self._links.pop())
        self._object.close()

    def _put(self, key: bytes, bits: int) -> None:
        libbpf.update(self._maps["cuts"], key, _TRAFFIC.pack(bits))
        self._in_force[key] = bits

    def _port(self, node: str | None) -> int:
        return _EVERY_PORT if node is None else self._ports[node]

    def _attach(self, name: str, way: int) -> None:
        with namespace.entered(self._switch):
            for index in self._ports.values():
                made = libbpf.create_link(self._programs[name], index, _TCX[way])
                if made >= 0:
                    self._links.append(made)
                elif made == -errno.EINVAL:
                    ClsactFilter(index, way).attach(self._programs[name])
                else:
                    what = f"cannot put the program {name!r} on port {index} of the switch"
                    raise libbpf.refused(what, -made)
