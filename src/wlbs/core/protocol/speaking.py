# SPDX-License-Identifier: Apache-2.0
"""When a member speaks: every period, and at once when somebody waits for what it has to say.

Knows the heartbeats' cadence and sequence. Knows nothing of what is in them but their frame.
"""

from dataclasses import dataclass
from typing import Final

from wlbs.core.address import Mac
from wlbs.core.cluster import Cluster
from wlbs.core.protocol.effects import SendHeartbeat, State
from wlbs.core.protocol.events import Instant
from wlbs.core.protocol.lease import Lease
from wlbs.core.protocol.peers import Peers
from wlbs.core.protocol.wire import Delivery, Heartbeat, Relaying, encode
from wlbs.core.rules import HostIndex

SPACING_DIVISOR: Final = 100
"""Heartbeats that cannot wait for the period keep a hundredth of it between them for each host of
the cluster: by default 3 ms among three, 64 ms among 64. So nobody hears more than a thousand in a
second, however much changes at once; sixteen hosts that joined together at 2 ms each kept two
processors so busy that they missed each other's heartbeats and changed again, without end."""

SPACING_NS_MIN: Final = 2_000_000
"""Above the millisecond in which sequences count, so that the clock outruns every sequence."""

_NS_PER_MS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Incarnation:
    """What tells this life of a host from an earlier one: its data path's boot nonce.

    ``own_mac`` is the address its interface has by itself, whatever the cluster's mode makes of it.
    ``is_fresh`` says that the data path was loaded for this member; one that an earlier agent left
    may have connections already.
    """

    own_mac: Mac
    boot_nonce: int
    is_fresh: bool = True


@dataclass(frozen=True, slots=True)
class Said:
    """What a member has to say, beside whom it hears."""

    state: State
    target: int
    foreign: tuple[int, ...]
    delivery: Delivery
    relaying: Relaying


class Speaker:
    """One member's voice."""

    def __init__(
        self, cluster: Cluster, own: HostIndex, boot_nonce: int, lease: Lease, now: Instant
    ) -> None:
        """Have said nothing."""
        self._cluster = cluster
        self._own = own
        self._boot_nonce = boot_nonce
        self._lease = lease
        self._is_urgent = False
        self._is_shouting = False
        self._farewell_count = 0
        due_ns = cluster.timing.period_ns * len(cluster.hosts) // SPACING_DIVISOR
        self._spacing_ns = max(due_ns, SPACING_NS_MIN)
        # Milliseconds, so that an agent that takes over the data path of a dead one goes on above
        # what that one has said: heartbeats keep more than a millisecond between them.
        self.sequence = now // _NS_PER_MS

    def hurry(self) -> None:
        """Speak as soon as the spacing allows."""
        self._is_urgent = True

    def shout(self) -> None:
        """Speak at once, whatever the spacing: frames are lost until it is heard."""
        self._is_urgent = self._is_shouting = True

    def say_goodbye(self) -> None:
        """Say as often that this is the end as others would tolerate not to hear it."""
        self._is_urgent = True
        self._farewell_count = self._cluster.timing.tolerance

    def next_at(self, state: State) -> Instant | None:
        """Return when the next heartbeat is due, or None once goodbye has been said."""
        if state is State.STOPPED and not self._farewell_count:
            return None
        period_ns = self._cluster.timing.period_ns
        if self._is_shouting:
            return self._lease.last_sent
        wait_ns = self._spacing_ns if self._is_urgent else period_ns
        return Instant(self._lease.last_sent + wait_ns)

    def is_due(self, state: State, now: Instant) -> bool:
        """Whether a heartbeat is due now."""
        due_at = self.next_at(state)
        return due_at is not None and now >= due_at

    def speak(self, said: Said, peers: Peers, now: Instant) -> tuple[SendHeartbeat, ...]:
        """Return the heartbeat that is due now."""
        state = said.state
        self._is_urgent = self._is_shouting = False
        if state is State.STOPPED:
            self._farewell_count -= 1
        self.sequence += 1
        self._lease.send(self.sequence, now)
        heartbeat = Heartbeat(
            host=self._own,
            state=state,
            boot_nonce=self._boot_nonce,
            sequence=self.sequence,
            configuration=peers.configuration,
            target=said.target,
            echoes=peers.echoed(now),
            foreign=said.foreign,
            delivery=said.delivery,
            relaying=said.relaying,
        )
        return (SendHeartbeat(encode(heartbeat, self._cluster)),)
