# SPDX-License-Identifier: Apache-2.0
"""What the rows of all hosts say together: does the segment flood, and if not, who gets the frames.

A switch that has learned the VMAC sends what is addressed to it to one port only (KB Q258609).
Probes to the VMAC then arrive where that port leads and nowhere else, while broadcasts arrive
everywhere. So the host that everybody's probes reach is where the cluster's frames go; in a tree
of switches of which only some have learned it, others may still get a part.

A pure function of rows. Knows nothing of time, of how a row came to be, or of what is done.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, unique

from wlbs.core.protocol.delivering import Row
from wlbs.core.rules import HostIndex


@unique
class Finding(StrEnum):
    """How frames for the VMAC travel on the segment."""

    HEALTHY = "healthy"
    """They are flooded: every host gets every frame."""
    CAPTURED = "captured by a host's port"
    """Switches have learned the VMAC at one host's port: that host alone gets them."""
    PARTLY_CAPTURED = "partly captured by a host's port"
    """Some switches have; that host gets all frames, others still get some."""
    STRANGER = "captured by a stranger's port"
    """No host gets any, and once they did: they go where no host is."""
    BLOCKED = "flooding is blocked"
    """Some or all hosts get none, and no port has captured them: switches do not flood."""
    RELAYED = "relayed by configuration"
    """A host pulls the VMAC to its port and relays, as mode relay has it."""
    THINNED = "thinned out"
    """Many are lost though broadcasts are not: storm control, or an overloaded port."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found, which host's port captured the VMAC, and which hosts get every frame.

    ``complete`` has one bit for each host that everybody's probes reach, for all that can be told.
    """

    finding: Finding
    captor: HostIndex | None = None
    complete: int = 0

    @property
    def is_flooding(self) -> bool:
        """Whether hosts can serve on what the segment delivers."""
        return self.finding in {Finding.HEALTHY, Finding.THINNED}


def diagnose(
    rows: Mapping[HostIndex, Row], *, has_ever_flooded: bool, is_thinned: bool = False
) -> Diagnosis:
    """Return what the rows of the hosts that take part mean; each host's row is of all others."""
    everybody = sum(1 << index for index in rows)
    complete = sum(
        1 << index
        for index, row in rows.items()
        if row.arriving & everybody and not row.silent & everybody
    )
    if not any(row.silent & everybody for row in rows.values()):
        finding = Finding.THINNED if is_thinned else Finding.HEALTHY
        return Diagnosis(finding, None, complete)
    captors = [index for index in sorted(rows) if complete >> index & 1 and _is_lost(rows, index)]
    if captors:
        captor = captors[0]
        others = [row for index, row in rows.items() if index != captor]
        is_whole = all(not row.arriving & everybody for row in others)
        finding = Finding.CAPTURED if is_whole else Finding.PARTLY_CAPTURED
        return Diagnosis(finding, captor, complete)
    is_taken = has_ever_flooded and not complete
    return Diagnosis(Finding.STRANGER if is_taken else Finding.BLOCKED, None, complete)


def choose_receiver(diagnosis: Diagnosis, current: HostIndex | None) -> HostIndex | None:
    """Return who is to receive for all: the present receiver if it still can, else the captor."""
    if diagnosis.is_flooding:
        return None
    if current is not None and diagnosis.complete >> current & 1:
        return current
    if diagnosis.captor is not None:
        return diagnosis.captor
    complete = diagnosis.complete
    return HostIndex((complete & -complete).bit_length() - 1) if complete else None


def _is_lost(rows: Mapping[HostIndex, Row], index: HostIndex) -> bool:
    """Whether nobody gets a host's probes: a switch sends nothing back to the port it came from.

    Who has just come cannot tell yet, and does not stand against what the others say.
    """
    others = [row for each, row in rows.items() if each != index]
    is_silent = any(row.silent >> index & 1 for row in others)
    return is_silent and not any(row.arriving >> index & 1 for row in others)
