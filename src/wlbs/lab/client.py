# SPDX-License-Identifier: Apache-2.0
"""A program of its own: one client, which opens connections as it is told and says what came of it.

Run inside a client's namespace as ``python -m wlbs.lab.client VIP``. Takes orders on its input and
reports on its output, one JSON object a line. Everything goes on at once in one thread, so that
attempts keep their schedule whatever became of those before. Knows orders and batches; knows
nothing of who should answer.
"""

import asyncio
import json
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from wlbs.lab.exchange import Flow, Lasting, ask_once

CONCURRENCY: Final = 6
"""Connections of a batch opened at once: enough to overlap, few enough for two processors."""

FAILURE_COUNT_MAX: Final = 40
"""After so many failures the rest of a batch is not tried: the point is made, and each costs
seconds."""

CHECK_S: Final = 0.1
"""How often connections that last are looked at for an answer that is overdue."""

ORDER_SIZE_MAX: Final = 1 << 24
"""An order names its flows, thousands of them."""

Order = dict[str, Any]
Coroutine = Callable[[Order], Awaitable[None]]


class Client:
    """One client at work."""

    def __init__(self, vip: str) -> None:
        """Begin with nothing open."""
        self._vip = vip
        self._lasting: dict[str, list[Lasting]] = defaultdict(list)
        self._schedules: dict[str, asyncio.Task[None]] = {}
        self._under_way: dict[str, set[asyncio.Task[None]]] = defaultdict(set)
        self._orders: dict[str, Coroutine] = {
            "send": self._send,
            "open": self._open,
            "close": self._close,
            "vanish": self._vanish,
            "begin": self._begin,
            "end": self._end,
            "report": self._report,
        }

    async def serve(self, orders: asyncio.StreamReader) -> None:
        """Carry orders out as they come, several at once, until there are no more."""
        checking = asyncio.create_task(self._check())
        async with asyncio.TaskGroup() as group:
            while line := await orders.readline():
                order = json.loads(line)
                group.create_task(self._carry_out(order))
        checking.cancel()

    async def _carry_out(self, order: Order) -> None:
        await self._orders[order["order"]](order)
        _say({"done": order["number"], "at": time.time()})

    async def _send(self, order: Order) -> None:
        failure_count = 0
        room = asyncio.Semaphore(CONCURRENCY)

        async def one(flow: Flow) -> None:
            nonlocal failure_count
            async with room:
                began, batch = time.time(), order["batch"]

                def on_end(answered_by: str | None, error: str) -> None:
                    nonlocal failure_count
                    failure_count += answered_by is None
                    _say_attempt(batch, flow, began, (answered_by, error))

                if failure_count < FAILURE_COUNT_MAX:
                    await ask_once(self._vip, flow, on_end)
                else:
                    on_end(None, "not tried after so many failures")

        await asyncio.gather(*(one(flow) for flow in _flows(order)))

    async def _open(self, order: Order) -> None:
        room = asyncio.Semaphore(CONCURRENCY)

        async def one(flow: Flow) -> None:
            async with room:
                connection = Lasting(self._vip, flow)
                self._lasting[order["batch"]].append(connection)
                await connection.open()

        await asyncio.gather(*(one(flow) for flow in _flows(order)))

    async def _close(self, order: Order) -> None:
        closing = [
            each
            for each in self._lasting[order["batch"]]
            if not each.is_over and order["host"] in {None, each.answered_by}
        ]
        await asyncio.gather(*(each.close() for each in closing))

    async def _vanish(self, order: Order) -> None:
        await asyncio.gather(*(each.vanish() for each in self._lasting[order["batch"]]))

    async def _begin(self, order: Order) -> None:
        self._schedules[order["batch"]] = asyncio.create_task(self._attempt(order))

    async def _attempt(self, order: Order) -> None:
        """Begin each attempt when it is due; return when they have run out, or are cancelled."""
        batch, first_s, interval_s = order["batch"], order["first"], order["interval"]
        under_way = self._under_way[batch]
        for index, flow in enumerate(_flows(order)):
            await asyncio.sleep(max(0.0, first_s + index * interval_s - time.time()))
            task = asyncio.create_task(self._ask(batch, flow))
            under_way.add(task)
            task.add_done_callback(under_way.discard)

    async def _ask(self, batch: str, flow: Flow) -> None:
        began = time.time()
        await ask_once(self._vip, flow, lambda *outcome: _say_attempt(batch, flow, began, outcome))

    async def _end(self, order: Order) -> None:
        schedule = self._schedules.pop(order["batch"])
        if schedule.done():
            _say({"exhausted": order["batch"]})
        schedule.cancel()
        await asyncio.gather(*self._under_way[order["batch"]])

    async def _report(self, order: Order) -> None:
        """Say what became of every connection that was to last, then close those still open."""
        del order
        for batch, connections in self._lasting.items():
            for each in connections:
                _say({"connection": _plain(batch, each)})
        still_open = [each for both in self._lasting.values() for each in both if not each.is_over]
        await asyncio.gather(*(each.close() for each in still_open))

    async def _check(self) -> None:
        while True:
            await asyncio.sleep(CHECK_S)
            now_s = time.time()
            for connections in self._lasting.values():
                for each in connections:
                    each.check(now_s)


def _flows(order: Order) -> Sequence[Flow]:
    return [Flow(*flow) for flow in order["flows"]]


def _say_attempt(batch: str, flow: Flow, began: float, outcome: tuple[str | None, str]) -> None:
    answered_by, error = outcome
    words = (flow.source, flow.source_port, flow.server_port)
    _say({"attempt": [batch, began, *words, answered_by, error]})


def _plain(batch: str, each: Lasting) -> list[Any]:
    flow = each.flow
    return [
        batch,
        flow.source,
        flow.source_port,
        flow.server_port,
        each.opened_s,
        each.answered_by,
        each.transfer_count,
        each.last_transfer_s,
        each.closed_s,
        each.error,
    ]


def _say(report: dict[str, Any]) -> None:
    sys.stdout.write(f"{json.dumps(report)}\n")
    sys.stdout.flush()


async def _main(vip: str) -> None:
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader(limit=ORDER_SIZE_MAX)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    await Client(vip).serve(orders)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))
