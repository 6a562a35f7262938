# SPDX-License-Identifier: Apache-2.0
"""Between the world and the member: makes events of what happens and does what effects say.

Owns one timer, the sockets on which heartbeats and probes travel, the bell of the carrier, the
control socket and two signals. Decides nothing: `core.protocol.member` does.
"""

import asyncio
import signal
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar, assert_never

from wlbs.agent.inquiry import Inquiry
from wlbs.agent.journal import Journal
from wlbs.agent.logs import Log, words
from wlbs.control.messages import Answer, Done, Drainstop, Query, Refused, Request, Start, Stop
from wlbs.control.server import serve
from wlbs.core.address import BROADCAST
from wlbs.core.probe import PROBE_PORT
from wlbs.core.protocol.effects import (
    BounceLink,
    CountConnections,
    CountDeliveries,
    Effect,
    EndLease,
    FindBypassers,
    HoldLease,
    InstallTable,
    Refuse,
    SendDelivery,
    SendHeartbeat,
    SendProbe,
    SendPull,
    State,
)
from wlbs.core.protocol.events import (
    BypassersFound,
    CarrierChanged,
    ConnectionsCounted,
    DrainstopRequested,
    Event,
    HeartbeatReceived,
    ProbeAnswered,
    StartRequested,
    StopRequested,
    TimerFired,
)
from wlbs.core.protocol.member import Member
from wlbs.core.protocol.status import snapshot
from wlbs.datapath.loader import Datapath
from wlbs.linux import bounce
from wlbs.linux.carrier import Carrier
from wlbs.linux.clock import now
from wlbs.linux.datagram import DatagramSocket
from wlbs.linux.packet import PacketSocket

SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGINT})

FRAMES_PER_TURN: Final = 128
"""Heartbeats read before the timer gets its turn: two from each of 64 hosts."""

FAREWELL_S_MAX: Final = 1.0
"""How long a host that has stopped goes on saying goodbye to peers that have news: three of its
heartbeats take 0.2 s by default."""

_NS_PER_S: Final = 1_000_000_000

_Done = TypeVar("_Done")


@dataclass(frozen=True, slots=True)
class Sockets:
    """What a member hears and speaks by."""

    heartbeats: PacketSocket
    probes: DatagramSocket
    carrier: Carrier

    def close(self) -> None:
        """Close them all."""
        self.heartbeats.close()
        self.probes.close()
        self.carrier.close()


@dataclass(frozen=True, slots=True)
class Books:
    """What is written down of what happens: for people, and for repeating it."""

    log: Log
    journal: Journal


class Driver:
    """One member in the world."""

    def __init__(
        self,
        member: Member,
        datapath: Datapath,
        sockets: Sockets,
        books: Books,
        drain_timeout_s: float,
    ) -> None:
        """Take the parts; nothing happens before `run`."""
        self._member = member
        self._datapath = datapath
        self._sockets = sockets
        self._books = books
        self._drain_timeout_s = drain_timeout_s
        self._host_count = max(host.priority for host in member.cluster.hosts)
        self._inquiry = Inquiry(
            sockets.carrier.ifindex, lambda found: self._take_or_end(BypassersFound(found))
        )
        self._has_carrier = True
        self._happened: deque[Event] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._ended: asyncio.Future[None] | None = None
        self._is_leaving = False

    async def run(self, socket: Path, on_ready: Callable[[], None]) -> None:
        """Take part until a signal says leave; the caller blocks the signals before and after."""
        loop = asyncio.get_running_loop()
        self._ended = loop.create_future()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._leave)
        try:
            async with serve(socket, self.respond):
                with self._reading(loop):
                    self._take_or_end(StartRequested())
                    self._on_carrier()
                    on_ready()
                    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
                    await self._ended
        finally:
            # Before the loop takes its handlers away: a second signal must not cut the undoing.
            signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
            if self._member.state is not State.STOPPED:
                self._take(StopRequested())

    def respond(self, request: Request) -> Answer:
        """Answer a request from the control socket."""
        answer = self._or_end(lambda: self._answer(request))
        return answer or Refused("this agent failed and ends; its log says why")

    def _answer(self, request: Request) -> Answer:
        match request:
            case Query():
                return self._done("")
            case Start():
                return self._command(StartRequested(), "")
            case Stop():
                count = self._datapath.census().connection_count
                return self._command(StopRequested(), f"{count} connections were cut")
            case Drainstop():
                return self._command(DrainstopRequested(), "")
            case _:
                assert_never(request)

    def _command(self, event: Event, said: str) -> Answer:
        effects = self._take(event)
        for effect in effects:
            if isinstance(effect, Refuse):
                return Refused(effect.because)
        return self._done("; ".join(filter(None, (*map(words, effects), said))))

    def _done(self, said: str) -> Done:
        counters = {reason.name: count for reason, count in self._datapath.counters().items()}
        lease_live = self._datapath.lease_live()
        return Done(snapshot(self._member, counters, now(), lease_live=lease_live), said)

    @contextmanager
    def _reading(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        """Have the loop call us for whatever arrives, until the block ends."""
        readers = (
            (self._sockets.heartbeats, self._on_heartbeats),
            (self._sockets.probes, self._on_probes),
            (self._sockets.carrier, self._on_carrier),
        )
        with ExitStack() as undo:
            for source, call in readers:
                loop.add_reader(source.fileno(), call)
                undo.callback(loop.remove_reader, source.fileno())
            yield

    def _on_heartbeats(self) -> None:
        for _ in range(FRAMES_PER_TURN):
            received = self._sockets.heartbeats.receive()
            if received is None:
                return
            self._take_or_end(HeartbeatReceived(received.source, received.payload))

    def _on_probes(self) -> None:
        for _ in range(FRAMES_PER_TURN):
            data = self._sockets.probes.receive()
            if data is None:
                return
            self._take_or_end(ProbeAnswered(data))

    def _on_carrier(self) -> None:
        self._sockets.carrier.drain()
        is_up = self._sockets.carrier.is_up()
        if is_up != self._has_carrier:
            self._has_carrier = is_up
            self._take_or_end(CarrierChanged(is_up))

    def _take(self, event: Event) -> tuple[Effect, ...]:
        """Take an event, and whatever carrying out its effects makes happen."""
        at = now()
        effects = self._member.handle(event, at)
        self._books.journal.write(event, at, effects)
        for effect in effects:
            self._carry_out(effect)
            self._books.log.write(effect)
        self._arm()
        if self._happened:
            self._take(self._happened.popleft())
        if self._is_leaving and self._member.deadline is None:
            self._end(None)  # stopped, and goodbye has been said: nobody waits for our silence
        return effects

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case InstallTable(table):
                self._datapath.install(table)
            case HoldLease(until):
                self._datapath.hold_lease(until)
            case EndLease():
                self._datapath.end_lease()
            case SendHeartbeat() | SendDelivery() | SendPull():
                self._send(effect)
            case CountDeliveries():
                self._happened.append(self._datapath.deliveries(self._host_count))
            case FindBypassers():
                self._inquiry.begin()
            case BounceLink():
                bounce.start(self._sockets.carrier.interface)
            case SendProbe(to, data):
                self._sockets.probes.send(to, PROBE_PORT, data)
            case CountConnections():
                self._happened.append(ConnectionsCounted(self._datapath.census()))
            case _:
                pass  # the log tells the operator, the answer whoever asked

    def _send(self, message: SendHeartbeat | SendDelivery | SendPull) -> None:
        cluster, source = self._member.cluster, self._member.table.masked_mac
        socket = self._sockets.heartbeats
        match message:
            case SendHeartbeat(data):
                socket.send(cluster.heartbeat_destination, source, data)
            case SendDelivery(data):
                socket.send(cluster.vmac, source, data)
            case SendPull(data):
                socket.send_past_guard(BROADCAST, cluster.vmac, data)
            case _:
                assert_never(message)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._member.deadline
        if deadline is not None:
            delay_s = max(0, deadline - now()) / _NS_PER_S
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._on_timer)

    def _on_timer(self) -> None:
        self._take_or_end(TimerFired())

    def _leave(self) -> None:
        """Drain and then end; at once if there is nothing to drain or the operator insists."""
        is_stopped = self._member.state is State.STOPPED
        if is_stopped and (self._is_leaving or self._member.deadline is None):
            self._end(None)
            return
        was_leaving, self._is_leaving = self._is_leaving, True
        patience_s = FAREWELL_S_MAX if was_leaving else self._drain_timeout_s
        asyncio.get_running_loop().call_later(patience_s, self._leave)
        if not is_stopped:
            self._take_or_end(StopRequested() if was_leaving else DrainstopRequested())

    def _take_or_end(self, event: Event) -> None:
        self._or_end(lambda: self._take(event))

    def _or_end(self, act: Callable[[], _Done]) -> _Done | None:
        """Act; if an effect fails, end the agent: half a change must not serve on."""
        try:
            return act()
        except Exception as error:  # noqa: BLE001 - the last resort: stop, undo, and say why
            self._end(error)
            return None

    def _end(self, error: Exception | None) -> None:
        assert self._ended is not None, "only `run` arms what leads here"
        if self._ended.done():
            return
        if error is None:
            self._ended.set_result(None)
        else:
            self._ended.set_exception(error)
