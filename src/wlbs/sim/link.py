# SPDX-License-Identifier: Apache-2.0
"""One link between a node and the switch: two wires that delay, lose and duplicate frames.

Keeps the order of what it carries, as Ethernet does. Knows nothing of what the frames say; cuts by
sender, receiver and kind of traffic are the switch's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from wlbs.sim.prng import Prng
from wlbs.sim.schedule import NS_PER_US, Schedule


@dataclass(frozen=True, slots=True)
class Quality:
    """How well a wire carries; chosen between veth pairs (10 µs) and a cheap switch (50 µs)."""

    delay_ns_min: int = 10 * NS_PER_US
    delay_ns_max: int = 50 * NS_PER_US
    lost_per_million: int = 0
    doubled_per_million: int = 0


ORDINARY: Final = Quality()


@dataclass(frozen=True, slots=True)
class Wiring:
    """What all wires of a world have in common: whose chance it is, and how well they carry."""

    seed: int
    quality: Quality = ORDINARY


class Wire:
    """One direction of a link."""

    def __init__(
        self,
        schedule: Schedule,
        prng: Prng,
        quality: Quality,
        deliver: Callable[[bytes], None],
    ) -> None:
        """Carry frames to ``deliver``; a new wire has carrier."""
        self.is_up = True
        self.quality = quality
        self._schedule = schedule
        self._prng = prng
        self._deliver = deliver
        self._last_arrival = 0

    def carry(self, data: bytes) -> None:
        """Take a frame; what was under way when carrier went is lost."""
        if not self.is_up or self._prng.happens(self.quality.lost_per_million):
            return
        delay_ns = self._prng.between(self.quality.delay_ns_min, self.quality.delay_ns_max)
        arrival = max(self._schedule.now + delay_ns, self._last_arrival)
        self._last_arrival = arrival
        self._schedule.at(arrival, lambda: self._arrive(data))
        if self._prng.happens(self.quality.doubled_per_million):
            self._schedule.at(arrival, lambda: self._arrive(data))

    def _arrive(self, data: bytes) -> None:
        if self.is_up:
            self._deliver(data)


class Link:
    """Both wires between one node and the switch, with one carrier."""

    def __init__(self, to_switch: Wire, to_node: Wire) -> None:
        """Tie two wires together."""
        self.to_switch = to_switch
        self.to_node = to_node

    @property
    def is_up(self) -> bool:
        """Whether the link has carrier."""
        return self.to_switch.is_up

    def set_carrier(self, *, up: bool) -> None:
        """Take the carrier away or give it back."""
        self.to_switch.is_up = up
        self.to_node.is_up = up
