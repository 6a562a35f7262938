# SPDX-License-Identifier: Apache-2.0
"""One member's watch over the VMAC: is it captured, whose port has it, and what is done about it.

Puts together what the probes say (`delivering`), what it means (`diagnosing`) and who relays
(`relaying`), and climbs the ladder: relay; where a stranger's port has the VMAC, or nobody gets
anything, pull it to a host's port first; where the operator allows it, take the link of the
capturing host down once. What ends by itself is not cut short: an entry that ages out ends it too.
Knows nothing of buckets or leases, and sends nothing itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from wlbs.core.cluster import Cluster, Healing, Mode
from wlbs.core.probe import encode_delivery, encode_pull
from wlbs.core.protocol.delivering import Deliveries
from wlbs.core.protocol.diagnosing import Diagnosis, Finding, choose_receiver, diagnose
from wlbs.core.protocol.effects import (
    BounceLink,
    CountDeliveries,
    Effect,
    HealingStep,
    ReportCapture,
    ReportHealing,
    SendDelivery,
    SendPull,
)
from wlbs.core.protocol.events import DeliveriesCounted, Instant
from wlbs.core.protocol.peers import Peer
from wlbs.core.protocol.relaying import Relays
from wlbs.core.protocol.wire import Delivery, Heartbeat
from wlbs.core.rules import HostIndex

REFRESH_NS: Final = 1_000_000_000
"""How often a host pulls where switches do not flood: far below any ageing time (802.1D: 10 s)."""

STEADY_ROUNDS: Final = 3
"""Rounds for which a finding must last before it is told: rows of several hosts come in turn."""

BOUNCE_AFTER_NS: Final = 1_000_000_000
"""How long a capture must have lasted, and how long nothing must have been sent from the VMAC,
before a link is taken down for it: otherwise the next frame captures it again."""

_HEALTHY: Final = Diagnosis(Finding.HEALTHY)

Told = tuple[Finding, HostIndex | None, HostIndex | None]
"""A finding, whose port has captured the VMAC, and who receives."""


@dataclass(frozen=True, slots=True)
class Circle:
    """Who takes part in the judgement: the peers that count, and whether this member serves."""

    counted: Sequence[Peer]
    serves: bool
    sequence: int
    """That of the next heartbeat."""


class Capture:
    """One member's watch."""

    def __init__(
        self, cluster: Cluster, own: HostIndex, peers: Sequence[HostIndex], now: Instant
    ) -> None:
        """Begin with a segment that floods, for all that is known."""
        self.deliveries = Deliveries(cluster.timing, peers, now)
        self.relays = Relays(own)
        self.diagnosis = _HEALTHY
        self.told: Told = (Finding.HEALTHY, None, None)
        self.told_at = now
        self._cluster = cluster
        self._own = own
        self._leaked_count: int | None = None
        self._leaked_at: Instant | None = None
        self._is_sighted_anew = False
        self._found: tuple[Told, Instant] = (self.told, now)
        self._pulled_at: Instant | None = None
        self._bounced = False
        self._received_since: Instant | None = None
        self._is_round = False

    @property
    def heals(self) -> bool:
        """Whether anything is done beside telling."""
        return Healing.RELAY in self._cluster.healing or self._cluster.mode is Mode.RELAY

    def said(self, now: Instant) -> Delivery:
        """Return what the heartbeat says of delivery."""
        has_leaked = self._leaked_at is not None and now - self._leaked_at < BOUNCE_AFTER_NS
        sent, row = self.deliveries.sent_count, self.deliveries.row
        return Delivery(sent, row, self.deliveries.is_sighted(now), has_leaked)

    def probe(self, now: Instant) -> tuple[Effect, ...]:
        """Return the probe that is sent now."""
        self.deliveries.send(now)
        return (SendDelivery(encode_delivery(self._own)),)

    def begin_round(self, now: Instant) -> tuple[Effect, ...]:
        """Return what is due each round: a probe, and the question what has arrived."""
        if not self.deliveries.is_due(now):
            return ()
        self._is_round = True
        return (*self.probe(now), CountDeliveries())

    def hear(self, earlier: Heartbeat | None, heartbeat: Heartbeat, now: Instant) -> None:
        """Take note of what a peer's heartbeat says."""
        lost_count = 0
        if earlier is None or earlier.boot_nonce != heartbeat.boot_nonce:
            self.deliveries.forget(heartbeat.host)
        else:
            lost_count = max(0, heartbeat.sequence - earlier.sequence - 1)
        self.deliveries.hear(heartbeat.host, heartbeat.delivery.sent, lost_count)
        if heartbeat.delivery.is_sighted or heartbeat.delivery.has_leaked:
            self.deliveries.warn(now)

    def count(self, counted: DeliveriesCounted, now: Instant) -> bool:
        """Take note of what the data path counted; whether there is something to tell the peers."""
        is_sighted = self.deliveries.sight(counted.sighted, now)
        has_leaked = self._leaked_count is not None and counted.leaked > self._leaked_count
        self._leaked_count = counted.leaked
        if has_leaked:
            self._leaked_at = now
            self.deliveries.warn(now)
        self._is_sighted_anew = self._is_sighted_anew or is_sighted
        return self.deliveries.count(counted.arrived, now) or is_sighted or has_leaked

    def settle(self, circle: Circle, now: Instant) -> tuple[Effect, ...]:
        """Bring everything into line with what the rows say now."""
        before = self.relays.receiver
        self.diagnosis = self._diagnose(circle)
        if not circle.serves:
            self.relays.end()
        wanted = choose_receiver(self.diagnosis, before) if self.heals and circle.serves else None
        self.relays.settle(wanted, circle.counted, circle.sequence, now)
        effects = [*self._pull(circle, now), *self._bounce(now), *self._tell(now)]
        self._is_round = self._is_sighted_anew = False
        return tuple(effects)

    def _diagnose(self, circle: Circle) -> Diagnosis:
        rows = {
            peer.index: peer.report.delivery.row
            for peer in circle.counted
            if peer.report is not None and peer.serves
        }
        if not circle.serves or not rows:
            return _HEALTHY
        rows[self._own] = self.deliveries.row
        return diagnose(
            rows,
            has_ever_flooded=self.deliveries.has_ever_flooded,
            is_thinned=bool(self.deliveries.thinned()),
        )

    def _pull(self, circle: Circle, now: Instant) -> tuple[Effect, ...]:
        """Have switches send the cluster's frames here, where they reach no host."""
        if not self.heals or not circle.serves or self._cluster.vmac.is_group:
            return ()
        if self.diagnosis.is_flooding and not self.relays.is_receiving:
            self._pulled_at = None
        waited_ns = None if self._pulled_at is None else now - self._pulled_at
        if not self._is_pull_due(circle, waited_ns):
            return ()
        is_first = self._pulled_at is None
        self._pulled_at = now
        because = "no host gets what is sent to the cluster's MAC"
        told = (ReportHealing(HealingStep.PULL, because),) if is_first else ()
        return (SendPull(encode_pull(self._own)), *told)

    def _is_pull_due(self, circle: Circle, waited_ns: int | None) -> bool:
        others = [peer.index for peer in circle.counted if peer.serves]
        receiver, is_default = self.relays.receiver, self._own <= min(others, default=self._own)
        is_ours = self._own == (receiver if receiver is not None else min([self._own, *others]))
        is_stranded = not self.diagnosis.is_flooding and not self.diagnosis.complete
        if is_stranded and is_default:
            return waited_ns is None or waited_ns >= self.deliveries.round_ns
        if not is_ours:
            return False
        is_alone = not others
        if self._is_sighted_anew and (waited_ns is not None or is_alone):
            return True
        is_refreshed = self._cluster.mode is Mode.RELAY or (
            waited_ns is not None and not self.deliveries.has_ever_flooded
        )
        return is_refreshed and (waited_ns is None or waited_ns >= REFRESH_NS)

    def _bounce(self, now: Instant) -> tuple[Effect, ...]:
        """Take the link down once, if allowed, when this host's port has captured the VMAC."""
        if self.diagnosis.is_flooding:
            self._bounced = False
        if not self.relays.is_receiving or self.diagnosis.captor != self._own:
            self._received_since = None
            return ()
        if self._received_since is None:
            self._received_since = now
        quiet_since = max(self._received_since, self._leaked_at or self._received_since)
        is_meant = self._pulled_at is not None or self._bounced
        if Healing.BOUNCE not in self._cluster.healing or is_meant:
            return ()
        if now - quiet_since < BOUNCE_AFTER_NS:
            return ()
        self._bounced = True
        because = "the cluster's MAC was learned at this host's port"
        return (ReportHealing(HealingStep.BOUNCE, because), BounceLink())

    def _tell(self, now: Instant) -> tuple[Effect, ...]:
        """Tell a finding that has lasted, and who relays."""
        diagnosis = self.diagnosis
        found = (diagnosis.finding, diagnosis.captor, self.relays.receiver)
        if found != self._found[0]:
            self._found = (found, now)
        steady_ns = STEADY_ROUNDS * self.deliveries.round_ns
        if found == self.told or now - self._found[1] < steady_ns:
            return ()
        before, self.told, self.told_at = self.told, found, now
        effects: list[Effect] = [ReportCapture(*found, self._because())]
        if found[2] == self._own != before[2]:
            effects.append(ReportHealing(HealingStep.RELAY, "this host gets every frame"))
        elif before[2] is not None and found[2] is None:
            effects.append(ReportHealing(HealingStep.END, "frames are flooded again"))
        return tuple(effects)

    def _because(self) -> str:
        """Say what was seen of whoever sent from the VMAC."""
        row = self.deliveries.row
        counts = f"probes of {row.arriving.bit_count()} hosts arrive, {row.silent.bit_count()} not"
        if self._leaked_at is not None:
            return f"{counts}; a program of this host sent from the cluster's MAC"
        if self.diagnosis.captor == self._own and self._pulled_at is None:
            return f"{counts}; no program of this host was seen to send from the cluster's MAC"
        return counts
