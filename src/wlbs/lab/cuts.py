# SPDX-License-Identifier: Apache-2.0
"""Cuts in a lab's switch: frames from one port to another that are no longer forwarded.

Done by a program on the way out of each port, the twin of ``bpf/cut.bpf.c``, so that a cut is in
force at once and ends at once. Knows the program's map and the ports' interface numbers. Knows
nothing of why something is cut.
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
from wlbs.scenario.topology import SWITCH

PROGRAM: Final = Path(__file__).parent / "bpf" / "cut.bpf.o"

_PATH: Final = struct.Struct("<II")
_TRAFFIC: Final = struct.Struct("<I")
_VMAC: Final = struct.Struct("<Q")
_FIRST: Final = bytes(4)
_EVERY_PORT: Final = 0
_BITS: Final = {
    Traffic.ALL: 1,
    Traffic.HEARTBEATS: 2,
    Traffic.CLUSTER: 4,
    Traffic.ANSWERS: 8,
}
_TCX_EGRESS: Final = 47
"""``enum bpf_attach_type``; TCX since Linux 6.6 (commit e420bed02507)."""


class Cuts:
    """What a lab's switch does not forward."""

    def __init__(self, names: LabNames, vmac: Mac) -> None:
        """Put the program on every port of the switch; nothing is cut yet."""
        self._object = libbpf.BpfObject(PROGRAM)
        maps = dict(self._object.maps())
        self._map = maps["cuts"]
        libbpf.update(maps["vmac"], _FIRST, _VMAC.pack(int.from_bytes(vmac.octets, "little")))
        self._in_force: dict[bytes, int] = {}
        self._links: list[int] = []
        (program,) = (descriptor for _, descriptor in self._object.programs())
        with namespace.entered(names.namespace(SWITCH)):
            self._ports = {each.name: each.index for each in link.links()}
            for index in self._ports.values():
                self._attach(program, index)

    def cut(self, cut: Cut) -> None:
        """Drop what this cut says, beside what is dropped already."""
        key = _PATH.pack(self._port(cut.sender), self._port(cut.receiver))
        self._put(key, self._in_force.get(key, 0) | _BITS[cut.traffic])

    def heal(self) -> None:
        """Forward everything again."""
        for key in self._in_force:
            self._put(key, 0)

    def close(self) -> None:
        """Take the program off again; what was put as a filter goes with the namespace."""
        while self._links:
            os.close(self._links.pop())
        self._object.close()

    def _put(self, key: bytes, bits: int) -> None:
        libbpf.update(self._map, key, _TRAFFIC.pack(bits))
        self._in_force[key] = bits

    def _port(self, node: str | None) -> int:
        return _EVERY_PORT if node is None else self._ports[node]

    def _attach(self, program: int, index: int) -> None:
        made = libbpf.create_link(program, index, _TCX_EGRESS)
        if made >= 0:
            self._links.append(made)
        elif made == -errno.EINVAL:
            ClsactFilter(index, ClsactFilter.EGRESS).attach(program)
        else:
            what = f"cannot put the cutting program on port {index} of the switch"
            raise libbpf.refused(what, -made)
