# SPDX-License-Identifier: Apache-2.0
"""Liveness probes: asking the data path of a peer that is silent.

Knows which challenge went to whom, and what an answer says of the peer. Knows nothing of what
follows from it, or of how a probe is sent.
"""

from collections.abc import Iterable
from typing import Final

from wlbs.core.cluster import Cluster
from wlbs.core.probe import decode_answer, encode_request
from wlbs.core.protocol.effects import SendProbe
from wlbs.core.protocol.events import Instant
from wlbs.core.protocol.peers import Peer, Peers
from wlbs.core.rules import HostIndex

PER_PERIOD: Final = 4
"""Probes in a period: that a lease has run out is known before the silence is complete."""

CHALLENGES_KEPT_MAX: Final = 512
"""Challenges that may still be answered: eight each of 64 hosts."""

_MASK_64: Final = (1 << 64) - 1

Asked = dict[int, HostIndex]
"""Challenges that may still be answered, each with whom it went to; the oldest first."""


class Prober:
    """One member's questions."""

    def __init__(self, cluster: Cluster, boot_nonce: int, peers: Peers, now: Instant) -> None:
        """Have asked nothing."""
        self._cluster = cluster
        self._peers = peers
        self._next_challenge = boot_nonce
        self._asked: Asked = {}
        self._asked_at = now

    @property
    def interval_ns(self) -> int:
        """The time between two rounds of questions."""
        return self._cluster.timing.period_ns // PER_PERIOD

    def next_round(self, now: Instant) -> Instant | None:
        """Return when the next round is due, or None while there is nobody to ask."""
        if not self._peers.to_probe(now):
            return None
        return Instant(self._asked_at + self.interval_ns)

    def ask(self, now: Instant) -> tuple[SendProbe, ...]:
        """Return the questions that are due now."""
        due_at = self.next_round(now)
        if due_at is None or now < due_at:
            return ()
        self._asked_at = now
        return tuple(self._question(self._peers.to_probe(now)))

    def answered(self, data: bytes, now: Instant) -> bool:
        """Take note of an answer; whether it is one to a question of ours."""
        answer = decode_answer(data, self._cluster.key)
        index = self._asked.pop(answer.challenge, None) if answer else None
        peer = self._peers.get(index) if index is not None else None
        if answer is None or peer is None:
            return False
        peer.answered_at, peer.answered_nonce = now, answer.boot_nonce
        peer.said_live_at = now if answer.lease_live else None
        return True

    def _question(self, peers: Iterable[Peer]) -> Iterable[SendProbe]:
        for peer in peers:
            self._next_challenge = self._next_challenge + 1 & _MASK_64
            if len(self._asked) >= CHALLENGES_KEPT_MAX:
                self._asked.pop(next(iter(self._asked)))
            self._asked[self._next_challenge] = peer.index
            address = self._cluster.host(peer.index).dedicated_ip
            yield SendProbe(address, encode_request(self._next_challenge))
