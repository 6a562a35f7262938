# SPDX-License-Identifier: Apache-2.0
"""One host's part in the cluster: who is present, which buckets it holds, and for how long.

Theory of operation. Every period each member broadcasts a heartbeat, and at once when what it says
has changed. It says in which state the member is, from which hosts its table follows (the target),
whom it hears (echoes), and where it has connections in buckets it does not own. From the target,
and from nothing else, follows who is due which bucket (`allocation`), so members that see the same
hosts agree without another word.

What keeps two members from holding the same bucket is neither agreement nor time alone:

* A member *claims* what its target gives it, and takes a claimed bucket only when every peer that
  counts has echoed the claim and none claims it itself (`holdings`). A claim is withdrawn at once.
* A peer that falls silent counts for one detection time, and longer while others hear it or its
  data path says that its lease is live (`peers`). Its own lease ends earlier, because it hangs on
  its heartbeats being echoed (`lease`). So when its buckets are taken it has stopped.
* A member that stood still for a lease, lost its carrier or was refused lets go of everything and
  listens for one detection time before it asks again.

Connections stay with the host that has them: a bucket taken is flagged until no other host can have
connections in it, and a bucket let go is marked until this host has none (`holdings`).

After each event the member brings everything into line with what is true now (`_settle`), so no
order of events needs a case of its own. Knows nothing of sockets, clocks, threads or logs: time
arrives as ``now``, everything else as an event, and every consequence leaves as an effect.
"""

from collections.abc import Mapping
from typing import Final, assert_never

from wlbs.core.address import Mac
from wlbs.core.cluster import Cluster
from wlbs.core.protocol.capturing import Capture, Circle
from wlbs.core.protocol.counting import Counting
from wlbs.core.protocol.effects import (
    Effect,
    EndLease,
    HoldLease,
    InstallTable,
    Refuse,
    ReportMembership,
    ReportState,
    State,
)
from wlbs.core.protocol.events import (
    BypassersFound,
    CarrierChanged,
    ConnectionsCounted,
    DeliveriesCounted,
    DrainstopRequested,
    Event,
    HeartbeatReceived,
    Instant,
    ProbeAnswered,
    StartRequested,
    StopRequested,
    TimerFired,
)
from wlbs.core.protocol.hearing import Hearing
from wlbs.core.protocol.holdings import Holdings
from wlbs.core.protocol.installing import Present, Tables, way_of
from wlbs.core.protocol.lease import Lease
from wlbs.core.protocol.peers import TAKING_PART, Peer, Peers
from wlbs.core.protocol.probing import Prober
from wlbs.core.protocol.refusal import Refusal
from wlbs.core.protocol.shares import Shares, target_of
from wlbs.core.protocol.speaking import Incarnation, Said, Speaker
from wlbs.core.rules import HostIndex

TRANSITIONS: Final[Mapping[State, frozenset[State]]] = {
    State.STOPPED: frozenset({State.JOINING}),
    State.JOINING: frozenset({State.CONVERGING, State.STOPPED}),
    State.CONVERGING: frozenset({State.CONVERGED, State.JOINING, State.DRAINING, State.STOPPED}),
    State.CONVERGED: frozenset({State.CONVERGING, State.JOINING, State.DRAINING, State.STOPPED}),
    State.DRAINING: frozenset({State.STOPPED, State.JOINING}),
}


class Member:
    """The protocol of one cluster member, free of I/O."""

    def __init__(
        self, cluster: Cluster, own: HostIndex, incarnation: Incarnation, now: Instant
    ) -> None:
        """Begin as STOPPED, with a carrier; `StartRequested` joins."""
        self.state = State.STOPPED
        self.cluster = cluster
        self.own = own
        self._shares = Shares(cluster)
        self.peers = Peers(cluster, own, now)
        self.holdings = Holdings(
            self._shares, own, [peer.index for peer in self.peers], is_fresh=incarnation.is_fresh
        )
        self.lease = Lease(cluster.timing, now)
        self.hearing = Hearing(cluster, own, incarnation.boot_nonce, self.peers, self.lease)
        self._speaker = Speaker(cluster, own, incarnation.boot_nonce, self.lease, now)
        self._prober = Prober(cluster, incarnation.boot_nonce, self.peers, now)
        self._counting = Counting(cluster.timing, now)
        self._claimed_from = 0
        self.target = 0
        self._counted: tuple[Peer, ...] = ()
        self._participants: frozenset[HostIndex] = frozenset()
        self._listen_until: Instant | None = None
        self._expected: Instant | None = None
        self._has_carrier = True
        self.capture = Capture(cluster, own, [peer.index for peer in self.peers], now)
        self._tables = Tables(cluster, own, incarnation, self._shares)
        self.table = self._tables.first(self.holdings, self.peers, now)

    @property
    def deadline(self) -> Instant | None:
        """The next moment at which silence alone would change something."""
        return self._expected

    @property
    def present(self) -> frozenset[HostIndex]:
        """The hosts that share the traffic, as this member sees it."""
        return self._participants

    @property
    def takes_part(self) -> bool:
        """Whether this member asks for a share."""
        return self.state in TAKING_PART

    def handle(self, event: Event, now: Instant) -> tuple[Effect, ...]:
        """Take one event and return what must now be done, in this order."""
        if isinstance(event, DeliveriesCounted) and not self.capture.count(event, now):
            return ()
        late = self._notice_lateness(now)
        effects = (*late, *self._take_in(event, now), *self._settle(now))
        self._expected = self._next_deadline(now)
        return effects

    def _take_in(  # noqa: C901, PLR0911 - one return for each kind of event
        self, event: Event, now: Instant
    ) -> tuple[Effect, ...]:
        match event:
            case TimerFired():
                return ()
            case DeliveriesCounted():
                self._speaker.hurry()  # what has changed is what others wait for
                return ()
            case HeartbeatReceived(source, data):
                return self._on_heartbeat(source, data, now)
            case ProbeAnswered(data):
                return self._on_answer(data, now)
            case ConnectionsCounted(census):
                self._counting.take(census, self.holdings, now)
                return ()
            case BypassersFound(bypassers):
                return self.capture.find(bypassers)
            case CarrierChanged(up):
                return self._on_carrier(now, up=up)
            case StartRequested():
                return self._on_start(now)
            case StopRequested():
                return self._on_stop("an operator said stop")
            case DrainstopRequested():
                return self._on_drainstop(now)
            case _:
                assert_never(event)

    def _on_heartbeat(self, source: Mac, data: bytes, now: Instant) -> tuple[Effect, ...]:
        if source == self.cluster.vmac != self.table.masked_mac:
            return ()  # a pull: it speaks to switches
        known = {peer.index: (peer.news, peer.report) for peer in self.peers}
        heartbeat, reports = self.hearing.hear(source, data, now)
        if heartbeat is None:
            return reports
        news, earlier = known[heartbeat.host]
        self.capture.hear(earlier, heartbeat, now)
        peer = self.peers.get(heartbeat.host)
        assert peer is not None, "hearing accepts peers only"
        if not self.peers.is_odd(peer):
            self.holdings.count_peer(peer.index, heartbeat.foreign, heartbeat.target)
        if news == peer.news:
            return reports
        if self.state is State.STOPPED:
            self._speaker.say_goodbye()  # or it would wait for a host that only seems silent
        else:
            self._speaker.hurry()  # it waits for our echo
        return reports

    def _on_answer(self, data: bytes, now: Instant) -> tuple[Effect, ...]:
        if self._prober.answered(data, now):
            return ()
        return self.hearing.refuse(Refusal.FORGED, "an answer to a probe", now)

    def _on_carrier(self, now: Instant, *, up: bool) -> tuple[Effect, ...]:
        self._has_carrier = up
        if up:
            self._listen_until = Instant(now + self.cluster.timing.detection_ns)
            return ()
        return self._step_back("the interface has lost its carrier", now, listens=False)

    def _on_start(self, now: Instant) -> tuple[Effect, ...]:
        if self.state not in {State.STOPPED, State.DRAINING}:
            return (Refuse("this host is started already"),)
        self._listen_until = Instant(now + self.cluster.timing.detection_ns)
        return (self._move(State.JOINING, "an operator said start"),)

    def _on_stop(self, because: str) -> tuple[Effect, ...]:
        if self.state is State.STOPPED:
            return (Refuse("this host is stopped already"),)
        self.lease.end()
        self.holdings.let_go()
        moved = self._move(State.STOPPED, because)
        self._speaker.say_goodbye()
        return (EndLease(), moved)

    def _on_drainstop(self, now: Instant) -> tuple[Effect, ...]:
        match self.state:
            case State.STOPPED | State.DRAINING:
                return (Refuse(f"this host is {self.state} already"),)
            case State.JOINING:
                return self._on_stop("an operator said drainstop, and it had taken nothing yet")
            case _:
                self._counting.let_go(now)
                return (self._move(State.DRAINING, "an operator said drainstop"),)

    def _notice_lateness(self, now: Instant) -> tuple[Effect, ...]:
        """Take account of the time in which this member could neither hear nor speak."""
        if self.state is State.STOPPED or self._expected is None:
            return ()
        lateness_ns = now - self._expected
        if lateness_ns > self.cluster.timing.period_ns:
            self.peers.forgive(lateness_ns, now)
        if lateness_ns <= self.cluster.timing.lease_ns:
            return ()
        return self._step_back(f"stood still for {lateness_ns // 1_000_000} ms", now, listens=True)

    def _step_back(self, because: str, now: Instant, *, listens: bool) -> tuple[Effect, ...]:
        """Let go of everything; a member that takes part, or is about to, listens anew."""
        if self.state is State.STOPPED:
            return ()
        self.lease.end()
        self.holdings.let_go()
        self._counting.let_go(now)
        if self.state is State.DRAINING:
            return (EndLease(),)
        self._listen_until = Instant(now + self.cluster.timing.detection_ns) if listens else None
        if self.state is State.JOINING:
            return (EndLease(),)
        return (EndLease(), self._move(State.JOINING, because))

    def _settle(self, now: Instant) -> tuple[Effect, ...]:
        """Bring everything into line with what is true now."""
        effects = list(self._move_on(now))
        self._count(now)
        effects += self._share(now)
        effects += self._watch(now)
        effects += self._install(now)
        effects += self._agree()
        effects += self._hold_lease(now)
        effects += self._prober.ask(now) if self.state is not State.STOPPED else ()
        matters = self.state is State.DRAINING or self.holdings.has_left
        if self.state is not State.STOPPED:
            effects += self._counting.ask(now, matters=matters)
            effects += self.capture.begin_round(now)
        if self._speaker.is_due(self.state, now):
            if self.state is not State.STOPPED:
                effects += self.capture.probe(now)  # what is said to be sent has been sent
            effects += self._speaker.speak(self._said(now), self.peers, now)
        return tuple(effects)

    def _said(self, now: Instant) -> Said:
        return Said(
            self.state,
            self.target,
            self.holdings.foreign,
            self.capture.said(now),
            self.capture.relays.said,
        )

    def _watch(self, now: Instant) -> tuple[Effect, ...]:
        """See whether the VMAC is captured, and do what is to be done about it."""
        before = self.capture.relays.said
        serves = self.takes_part or self.state is State.DRAINING
        circle = Circle(self._counted, serves, self._speaker.sequence + 1)
        effects = self.capture.settle(circle, now)
        if self.capture.relays.said != before:
            self._speaker.shout()
        return effects

    def _move_on(self, now: Instant) -> tuple[Effect, ...]:
        """Change state where time, or the word of others, asks for it."""
        barred = self._barred(now)
        if self.takes_part and barred:
            return self._step_back(barred, now, listens=True)
        has_listened = self._listen_until is not None and now >= self._listen_until
        if self.state is State.JOINING and has_listened and self._has_carrier and not barred:
            self._listen_until = None
            return (self._move(State.CONVERGING, "listened for one detection time"),)
        if self.state is State.DRAINING and self._counting.connection_count == 0:
            return self._on_stop("its last connection has ended")
        return ()

    def _barred(self, now: Instant) -> str:
        """Say why this member may not take part, if it may not."""
        if self.hearing.yields_to_rival(now, takes_part=self.takes_part):
            return f"host priority {self.own + 1} is taken by {self.hearing.rival_source}"
        others = self.peers.better_configured(self.own, now)
        if others:
            numbers = ", ".join(str(index + 1) for index in sorted(others))
            return f"its configuration differs from that of the hosts {numbers}"
        return ""

    def _count(self, now: Instant) -> None:
        """See which peers count now, and which cannot say any more where they have connections."""
        counted = self.peers.counted(now)
        for peer in self._counted:
            peer.is_stale = peer.is_stale or peer not in counted
        for peer in self.peers:
            is_odd = self.peers.is_odd(peer)
            if self.peers.is_gone(peer, now) or (is_odd and peer.has_nothing):
                self.holdings.forget(peer.index)
            elif is_odd or not self.peers.is_heard(peer, now):
                # The groups it names are not of our buckets, or it has taken others since.
                self.holdings.suspect(peer.index)
        self._counted = counted

    def _share(self, now: Instant) -> tuple[Effect, ...]:
        """Claim what is due, and hold what of it may be held."""
        participants = {peer.index for peer in self._counted if peer.takes_part}
        if self.takes_part:
            participants.add(self.own)
        target = target_of(participants) if self.takes_part else 0
        if target != self.target:
            self.target = target
            self._claimed_from = self._speaker.sequence + 1
            self._speaker.hurry()
        claimants = tuple((peer.target, peer.index) for peer in self._counted if peer.target)
        before = self.holdings.held
        self.holdings.settle(
            self._shares.due(target, self.own),
            self._shares.claimed(claimants),
            acknowledged=all(peer.echoed >= self._claimed_from for peer in self._counted),
        )
        if any(had & ~has for had, has in zip(before, self.holdings.held, strict=True)):
            self._counting.let_go(now)
        if participants == self._participants:
            return ()
        self._participants = frozenset(participants)
        return (ReportMembership(self._participants, "hosts came, left or fell silent"),)

    def _install(self, now: Instant) -> tuple[InstallTable, ...]:
        """Install the table if anything in it has changed."""
        present = Present(self._participants, self.state is State.STOPPED)
        way = way_of(self.capture.relays, self._counted)
        installs = self._tables.settle(present, self.holdings, self.peers, way, now)
        for install in installs:
            self.table = install.table
        return installs

    def _agree(self) -> tuple[Effect, ...]:
        """Move between CONVERGING and CONVERGED."""
        if not self.takes_part:
            return ()
        agreed = self.holdings.held == self._shares.due(self.target, self.own) and all(
            peer.target == self.target for peer in self._counted if self.target >> peer.index & 1
        )
        if agreed and self.state is State.CONVERGING:
            return (self._move(State.CONVERGED, "its share is its own, and all agree"),)
        if not agreed and self.state is State.CONVERGED:
            return (self._move(State.CONVERGING, "the hosts do not all agree"),)
        return ()

    def _hold_lease(self, now: Instant) -> tuple[Effect, ...]:
        """Prolong the lease by what has been echoed; alone, by what has been said."""
        if not self.takes_part and self.state is not State.DRAINING:
            return ()
        is_alone = not self._counted
        ended: tuple[Effect, ...] = ()
        if self.lease.is_self_held and any(peer.takes_part for peer in self._counted):
            # Whoever takes part may have taken this member for deaf; only an echo says otherwise.
            ended = (EndLease(),) if self.lease.end() else ()
        sent = [peer.echoed_sent_at for peer in self._counted if peer.echoed_sent_at is not None]
        if is_alone:
            sent = [self.lease.last_sent]
        if not sent or not self.lease.prolong(max(sent), now, is_self_held=is_alone):
            return ended
        assert self.lease.until is not None, "it has just been prolonged"
        return (*ended, HoldLease(self.lease.until))

    def _next_deadline(self, now: Instant) -> Instant | None:
        if self.state is State.STOPPED:
            return self._speaker.next_at(self.state)
        moments = [self._speaker.next_at(self.state), self._prober.next_round(now)]
        moments.append(self.capture.next_at)
        moments += self.peers.deadlines(now)
        if self._listen_until is not None and self._listen_until > now:
            moments.append(self._listen_until)
        return min(at for at in moments if at is not None)

    def _move(self, after: State, because: str) -> ReportState:
        before = self.state
        assert after in TRANSITIONS[before], f"illegal move {before} -> {after}"
        self.state = after
        self._speaker.hurry()
        return ReportState(before, after, because)
