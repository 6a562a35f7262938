# SPDX-License-Identifier: Apache-2.0
"""SYN cookies: how a listener answers SYNs without remembering them, and knows the answers again.

As in Linux, a cookie is the client's own first number plus a secret hash of the flow. Leaves out
time and segment sizes, which Linux hides in it. Knows segments; nothing of sockets.
"""

import hashlib
from typing import Final

from wlbs.sim.frames import ACK, RST, SYN, Path, TcpSegment

_SPACE: Final = 1 << 32
_SECRET_SIZE: Final = 16


class Cookies:
    """The cookies of one host; no other host knows its secret."""

    def __init__(self, secret: int) -> None:
        """Know the secret."""
        self._secret = secret.to_bytes(_SECRET_SIZE, "big")

    def first_number(self, path: Path) -> int:
        """Return the cookie for a client whose own first number is 0."""
        digest = hashlib.blake2b(repr(path).encode(), digest_size=4, key=self._secret)
        return int.from_bytes(digest.digest(), "big")

    def answer(self, syn: TcpSegment) -> TcpSegment:
        """Return the SYN-ACK with the cookie."""
        path = syn.path.reversed
        cookie = (self.first_number(path) + syn.sequence) % _SPACE
        return TcpSegment(path, cookie, (syn.sequence + 1) % _SPACE, SYN | ACK)

    def are_acknowledged_by(self, segment: TcpSegment) -> bool:
        """Tell whether a segment brings a cookie back."""
        distance = (segment.acknowledgement - segment.sequence) % _SPACE
        is_answer = segment.flags & (SYN | ACK | RST) == ACK
        return is_answer and distance == self.first_number(segment.path.reversed)
