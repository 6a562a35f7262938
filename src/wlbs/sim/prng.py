# SPDX-License-Identifier: Apache-2.0
"""Our own small generator of pseudo-random numbers, so that seeds outlive versions of Python.

SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
Every part of the world draws from a stream of its own, named by its purpose, so that one part that
draws once more does not change what the others draw. Knows nothing of what is drawn.
"""

import hashlib
from typing import Final

_WORD: Final = (1 << 64) - 1
_GOLDEN_GAMMA: Final = 0x9E3779B97F4A7C15
MILLION: Final = 1_000_000


class Prng:
    """One stream of numbers."""

    __slots__ = ("_state",)

    def __init__(self, seed: int, purpose: str) -> None:
        """Begin the stream of this seed that serves this purpose."""
        digest = hashlib.blake2b(f"wlbs sim {seed} {purpose}".encode(), digest_size=8).digest()
        self._state = int.from_bytes(digest, "little")

    def word(self) -> int:
        """Draw 64 bits."""
        self._state = (self._state + _GOLDEN_GAMMA) & _WORD
        z = self._state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _WORD
        return z ^ (z >> 31)

    def between(self, first: int, last: int) -> int:
        """Draw one of the numbers from first to last, both included.

        The remainder prefers small numbers by less than span / 2^64: nothing, for spans of time.
        """
        assert first <= last, f"no number lies between {first} and {last}"
        return first + self.word() % (last - first + 1)

    def happens(self, per_million: int) -> bool:
        """Draw whether something happens that does so in so many of a million cases."""
        return per_million > 0 and self.word() % MILLION < per_million
