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
from wlbs.core.frame import EtherType
from wlbs.core.probe import encode_delivery, encode_pull
from wlbs.core.protocol.delivering import Deliveries
from wlbs.core.protocol.diagnosing import Diagnosis, Finding, choose_receiver, diagnose
from wlbs.core.protocol.effects import (
    BounceLink,
    CountDeliveries,
    Effect,
    FindBypassers,
    HealingStep,
    ReportBypassers,
    ReportCapture,
    ReportHealing,
    ReportSighting,
    SendDelivery,
    SendPull,
)
from wlbs.core.protocol.events import DeliveriesCounted, Instant
from wlbs.core.protocol.peers import Peer
from wlbs.core.protocol.relaying import Relays
from wlbs.core.protocol.wire import Delivery, Heartbeat
from wlbs.core.rules import HostIndex
from wlbs.core.sighting import (
    Bypasser,
    FrameKind,
    Sender,
    Sighting,
    Where,
    describe,
    describe_bypasser,
)

REFRESH_NS: Final = 1_000_000_000
"""How often a host pulls where switches do not flood: far below any ageing time (802.1D: 10 s)."""

LOOK_NS: Final = 5_000_000
"""How often a host that pulls looks for a stranger's next frame: what is sent to the cluster
between that frame and the pull is lost, 3 % of it if the stranger sends ten a second."""

STEADY_ROUNDS: Final = 3
"""Rounds for which a finding must last before it is told: rows of several hosts come in turn."""

BOUNCE_AFTER_NS: Final = 1_000_000_000
"""How long a capture must have lasted, and how long nothing must have been sent from the VMAC,
before a link is taken down for it: otherwise the next frame captures it again."""

EXPLAINS_NS: Final = 10_000_000_000
"""How long ago a frame from the VMAC may have been sent that explains a capture found now: one that
captured the VMAC is seen within a second, and a program that sends again is seen again."""

SIGHTINGS_TOLD_MAX: Final = 64
"""Kinds and senders that are told, each once: a forger may choose them at will."""

_FROM_BELOW: Final = (
    "so it came from below this host: from its hypervisor or the firmware of its card"
)

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
        self._has_witness = False
        self._seen: set[tuple[Where, FrameKind, Sender | None]] = set()
        self._untold: list[Sighting] = []
        self._in_doubt_since: Instant | None = None
        self._has_inquired = False
        self._bypassers: tuple[Bypasser, ...] | None = None
        self._arrival: Sighting | None = None
        """The latest frame from the VMAC that was received."""
        self._leak: Sighting | None = None
        """The latest frame from the VMAC that a program of this host sent past the guard."""
        self._is_sighted_anew = False
        self._found: tuple[Told, Instant] = (self.told, now)
        self._pulled_at: Instant | None = None
        self._has_flooded = False
        self._bounced = False
        self._received_since: Instant | None = None
        self._looked_at = now

    @property
    def next_at(self) -> Instant:
        """When to look again for what the data path has counted."""
        if self._pulled_at is None or not self.relays.is_receiving:
            return self.deliveries.next_at
        if not self.deliveries.is_sighted(self._looked_at):
            return self.deliveries.next_at
        return min(self.deliveries.next_at, Instant(self._looked_at + LOOK_NS))

    @property
    def heals(self) -> bool:
        """Whether anything is done beside telling."""
        return Healing.RELAY in self._cluster.healing or self._cluster.mode is Mode.RELAY

    def said(self, now: Instant) -> Delivery:
        """Return what the heartbeat says of delivery."""
        has_leaked = self._leak is not None and now - self._leak.last < BOUNCE_AFTER_NS
        sent, row = self.deliveries.sent_count, self.deliveries.row
        has_pulled = self._pulled_at is not None
        return Delivery(sent, row, self.deliveries.is_sighted(now), has_leaked, has_pulled)

    def probe(self, now: Instant) -> tuple[Effect, ...]:
        """Return the probe that is sent now."""
        self.deliveries.send(now)
        return (SendDelivery(encode_delivery(self._own)),)

    def begin_round(self, now: Instant) -> tuple[Effect, ...]:
        """Return what is due each round: a probe, and the question what has arrived.

        In between, whoever pulls looks more often for frames that need an answer.
        """
        if now < self.next_at:
            return ()
        self._looked_at = now
        probe = self.probe(now) if self.deliveries.is_due(now) else ()
        return (*probe, CountDeliveries())

    def hear(self, earlier: Heartbeat | None, heartbeat: Heartbeat, now: Instant) -> None:
        """Take note of what a peer's heartbeat says."""
        lost_count = 0
        if earlier is None or earlier.boot_nonce != heartbeat.boot_nonce:
            self.deliveries.forget(heartbeat.host)
        else:
            lost_count = max(0, heartbeat.sequence - earlier.sequence - 1)
        self.deliveries.hear(heartbeat.host, heartbeat.delivery.sent, lost_count, now)
        if heartbeat.delivery.is_sighted or heartbeat.delivery.has_leaked:
            self.deliveries.warn(now)

    def count(self, counted: DeliveriesCounted, now: Instant) -> bool:
        """Take note of what the data path counted; whether there is something to tell the peers."""
        self._has_witness = counted.has_witness
        news = [each for each in counted.sightings if self._note(each, now)]
        return self.deliveries.count(counted.arrived, now) or bool(news)

    def _note(self, sighting: Sighting, now: Instant) -> bool:
        """Take note of a frame from the VMAC; whether peers should hear of it."""
        if sighting.kind.ethertype == EtherType.HEARTBEAT:
            return False  # a pull of ours
        what = (sighting.where, sighting.kind, sighting.sender)
        if what not in self._seen and len(self._seen) < SIGHTINGS_TOLD_MAX:
            self._seen.add(what)
            self._untold.append(sighting)
        if sighting.where is Where.DEPARTED:
            return False  # the guard has masked it
        if sighting.where is Where.ARRIVED:
            self._arrival = _later(self._arrival, sighting)
            is_news = self.deliveries.sight(sighting.last)
            self._is_sighted_anew = self._is_sighted_anew or is_news
            return is_news
        self._leak = _later(self._leak, sighting)
        self.deliveries.warn(now)
        return True

    def find(self, bypassers: tuple[Bypasser, ...]) -> tuple[ReportBypassers, ...]:
        """Take note of who can send past the guard, and tell it."""
        self._bypassers = bypassers
        return (ReportBypassers(bypassers, _words_of(bypassers)),)

    def settle(self, circle: Circle, now: Instant) -> tuple[Effect, ...]:
        """Bring everything into line with what the rows say now."""
        before = self.relays.receiver
        self.diagnosis = self._diagnose(circle)
        if not circle.serves:
            self.relays.end()
        wanted = self._choose(before, now) if self.heals and circle.serves else None
        self.relays.settle(wanted, circle.counted, circle.sequence, now)
        effects = [*self._pull(circle, now), *self._bounce(now), *self._inquire(), *self._tell(now)]
        effects += [ReportSighting(each, describe(each, now)) for each in self._untold]
        self._untold.clear()
        self._is_sighted_anew = False
        return tuple(effects)

    def _choose(self, current: HostIndex | None, now: Instant) -> HostIndex | None:
        """Return who is to receive; where several could, only once all rows have had their say."""
        wanted = choose_receiver(self.diagnosis, current)
        if self.diagnosis.is_flooding:
            self._in_doubt_since = None
            return None
        if self._in_doubt_since is None:
            self._in_doubt_since = now
        is_plain = wanted == current or self.diagnosis.complete.bit_count() == 1
        steady_ns = STEADY_ROUNDS * self.deliveries.round_ns
        return wanted if is_plain or now - self._in_doubt_since >= steady_ns else None

    def _diagnose(self, circle: Circle) -> Diagnosis:
        rows = {
            peer.index: peer.report.delivery.row
            for peer in circle.counted
            if peer.report is not None and peer.serves
        }
        if not circle.serves or not rows:
            return _HEALTHY
        rows[self._own] = self.deliveries.row
        diagnosis = diagnose(
            rows,
            has_ever_flooded=self._has_flooded,
            is_thinned=bool(self.deliveries.thinned()),
        )
        pullers = {
            peer.index
            for peer in circle.counted
            if peer.report is not None and peer.report.delivery.has_pulled
        }
        if self._pulled_at is not None:
            pullers.add(self._own)
        if diagnosis.is_flooding and self.relays.receiver is None and not pullers:
            reaches_all = diagnosis.complete == sum(1 << index for index in rows)
            self._has_flooded = self._has_flooded or reaches_all
        return self._explained(diagnosis) if diagnosis.captor in pullers else diagnosis

    def _explained(self, diagnosis: Diagnosis) -> Diagnosis:
        """Return a diagnosis in which a host's port has the VMAC because that host pulled it."""
        if self._cluster.mode is Mode.RELAY:
            finding = Finding.RELAYED
        elif self._has_flooded:
            finding = Finding.STRANGER
        else:
            finding = Finding.BLOCKED
        return Diagnosis(finding, None, diagnosis.complete)

    def _pull(self, circle: Circle, now: Instant) -> tuple[Effect, ...]:
        """Have switches send the cluster's frames here, where they reach no host."""
        others = [peer.index for peer in circle.counted if peer.serves]
        receiver = self.relays.receiver
        is_default = self._own <= min(others, default=self._own)
        is_over = self.diagnosis.is_flooding and self._cluster.mode is not Mode.RELAY
        is_over = (is_over and receiver is None) or receiver not in {None, self._own}
        if is_over and self._pulled_at is not None and now - self._pulled_at >= REFRESH_NS:
            self._pulled_at = None
        is_stranded = not self.diagnosis.is_flooding and not self.diagnosis.complete
        is_ours = is_default if receiver is None or is_stranded else receiver == self._own
        if not (self.heals and circle.serves and is_ours) or self._cluster.vmac.is_group:
            return ()
        if not self._is_pull_due(now, is_stranded=is_stranded, is_alone=not others):
            return ()
        is_first, self._pulled_at = self._pulled_at is None, now
        is_meant = self._cluster.mode is Mode.RELAY
        because = "mode relay" if is_meant else "no host gets what is sent to the cluster's MAC"
        told = (ReportHealing(HealingStep.PULL, because),) if is_first else ()
        return (SendPull(encode_pull(self._own)), *told)

    def _is_pull_due(self, now: Instant, *, is_stranded: bool, is_alone: bool) -> bool:
        """Whether this host, whose turn it is, has to pull now."""
        waited_ns = None if self._pulled_at is None else now - self._pulled_at
        if is_stranded:
            return waited_ns is None or waited_ns >= self.deliveries.round_ns
        if self._is_sighted_anew and (waited_ns is not None or is_alone):
            return True
        is_meant = self._cluster.mode is Mode.RELAY
        if waited_ns is None:
            return is_meant
        return waited_ns >= REFRESH_NS and (is_meant or not self._has_flooded)

    def _bounce(self, now: Instant) -> tuple[Effect, ...]:
        """Take the link down once, if allowed, when this host's port has captured the VMAC."""
        if self.diagnosis.is_flooding:
            self._bounced = False
        if not self.relays.is_receiving or self.diagnosis.captor != self._own:
            self._received_since = None
            return ()
        if self._received_since is None:
            self._received_since = now
        leaked_at = self._received_since if self._leak is None else self._leak.last
        quiet_since = max(self._received_since, leaked_at)
        if Healing.BOUNCE not in self._cluster.healing or self._bounced:
            return ()
        if now - quiet_since < BOUNCE_AFTER_NS:
            return ()
        self._bounced = True
        because = "the cluster's MAC was learned at this host's port"
        return (ReportHealing(HealingStep.BOUNCE, because), BounceLink())

    def _inquire(self) -> tuple[FindBypassers, ...]:
        """Have it looked for who can send past the guard, once for each capture by this port."""
        is_ours = self.diagnosis.captor == self._own and self._pulled_at is None
        if not is_ours:
            self._has_inquired, self._bypassers = False, None
        if not is_ours or self._has_inquired or self._has_witness or self._leak is not None:
            return ()
        self._has_inquired = True
        return (FindBypassers(),)

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
        effects: list[Effect] = [ReportCapture(*found, self._because(now))]
        if found[2] == self._own != before[2]:
            effects.append(ReportHealing(HealingStep.RELAY, "this host gets every frame"))
        elif before[2] is not None and found[2] is None:
            effects.append(ReportHealing(HealingStep.END, "frames are flooded again"))
        return tuple(effects)

    def _because(self, now: Instant) -> str:
        """Say what the probes say, and who sent from the VMAC as far as this host can tell."""
        row = self.deliveries.row
        arriving, silent = row.arriving.bit_count(), row.silent.bit_count()
        return f"probes of {arriving} other hosts arrive here, of {silent} not; {self._who(now)}"

    def _who(self, now: Instant) -> str:
        if self._leak is not None and now - self._leak.last < EXPLAINS_NS:
            return describe(self._leak, now)
        if self.diagnosis.captor == self._own and self._pulled_at is None:
            if self._has_witness:
                return f"no program of this host sent from the cluster's MAC; {_FROM_BELOW}"
            if self._bypassers is not None:
                return _words_of(self._bypassers)
            return "this host cannot see who sends past its guard"
        if self._arrival is not None and now - self._arrival.last < EXPLAINS_NS:
            return describe(self._arrival, now)
        return "no frame from the cluster's MAC was received here"


def _later(one: Sighting | None, other: Sighting) -> Sighting:
    return other if one is None or other.last > one.last else one


def _words_of(bypassers: tuple[Bypasser, ...]) -> str:
    if not bypassers:
        return f"no program that runs on this host now can send past its guard; {_FROM_BELOW}"
    return "; ".join(map(describe_bypasser, bypassers))
