# SPDX-License-Identifier: Apache-2.0
"""The lab as a world for scenarios: the kernel's own stack, switch and programs.

Knows how each step is carried out and where each kind of evidence lies. Judges nothing and asks
no agent anything.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Final

from wlbs.core.address import IpAddress
from wlbs.core.buckets import HashKey
from wlbs.lab.agents import start_agents
from wlbs.lab.build import build
from wlbs.lab.command import inside, run
from wlbs.lab.kernel import read_counters
from wlbs.lab.names import NODE_INTERFACE, LabNames
from wlbs.lab.recorder import Recorder
from wlbs.lab.sabotage import NO_SABOTAGE, Sabotage, Site
from wlbs.lab.service import read_log
from wlbs.lab.wait import wait_until
from wlbs.linux.error import LinuxError
from wlbs.scenario.draw import PlannedFlow
from wlbs.scenario.evidence import Attempt, Direction, Evidence
from wlbs.scenario.topology import Topology

SEND_S_MAX: Final = 120
"""The slowest batch there is, every connection of it failing up to the client's own limit."""

AttemptHook = Callable[[Attempt], None]


class LabWorld:
    """One lab, built for one run."""

    name = "lab"

    def __init__(
        self,
        names: LabNames,
        sabotage: Sabotage = NO_SABOTAGE,
        on_attempt: AttemptHook = lambda _: None,
    ) -> None:
        """Know the lab's name, what to break in it, and who wants to hear of each answer."""
        self._names = names
        self._sabotage = sabotage
        self._on_attempt = on_attempt
        self._attempts: list[Attempt] = []
        self._topology = Topology()
        self._recorder = Recorder(names, self._topology)

    def begin(self, topology: Topology, key: HashKey) -> None:
        """Build the lab, start to record, then start the agents."""
        self._topology = topology
        build(self._names, topology)
        self._recorder = Recorder(self._names, topology)
        self._recorder.start()
        site = Site(self._names, topology, key)
        start_agents(self._names, topology, key, self._sabotage.other_keys(site))
        self._sabotage.inject(site)

    def send(self, flows: tuple[PlannedFlow, ...]) -> None:
        """Run one client process per client, all at once."""
        # One pipe for all: lines below PIPE_BUF are written whole, and no client waits for another.
        read_end, write_end = os.pipe()
        clients = sorted({flow.client for flow in flows})
        running = [self._start_client(client, flows, write_end) for client in clients]
        os.close(write_end)
        try:
            with os.fdopen(read_end) as outcomes:
                for line in outcomes:
                    attempt = self._attempt(json.loads(line))
                    self._attempts.append(attempt)
                    self._on_attempt(attempt)
        except BaseException:
            # Interrupted, or a watcher failed: nobody will read what the clients still say.
            for process in running:
                process.kill()
                process.wait()
            raise
        statuses = [process.wait(timeout=SEND_S_MAX) for process in running]
        if any(statuses):
            raise LinuxError(what="a client of the lab failed", remedy="type `wlbs lab sweep`")

    def leak(self, host: str) -> None:
        """Send the frame and wait until it has been captured at the host's port."""
        before = self._recorder.captured_size(host, Direction.FROM_NODE)
        program = (sys.executable, "-m", "wlbs.lab.leak", NODE_INTERFACE, str(self._topology.vmac))
        run(inside(self._names.namespace(host), *program))
        wait_until(
            lambda: self._recorder.captured_size(host, Direction.FROM_NODE) > before,
            f"the leaked frame at port {host}",
        )

    def finish(self) -> Evidence:
        """Stop recording and gather what was recorded."""
        self._recorder.stop()
        hosts = [host.name for host in self._topology.hosts]
        return Evidence(
            attempts=tuple(self._attempts),
            frames=self._recorder.frames(),
            bridge_entries=self._recorder.bridge_entries(),
            neighbours=self._recorder.neighbours(),
            log=tuple(entry for host in hosts for entry in read_log(self._names, host)),
            counters={host: read_counters(self._names, host) for host in hosts},
            frames_lost_count=self._recorder.lost_count,
        )

    def close(self) -> None:
        """End what still records; the lab itself is the sweep's."""
        self._recorder.end()

    def _start_client(
        self, client: str, flows: tuple[PlannedFlow, ...], output: int
    ) -> subprocess.Popen[bytes]:
        plan = self._names.state / f"flows-{client}.json"
        own = [flow for flow in flows if flow.client == client]
        words = [{**asdict(flow), "source": str(flow.source)} for flow in own]
        plan.write_text("".join(json.dumps(each) + "\n" for each in words))
        program = (sys.executable, "-m", "wlbs.lab.client", str(self._topology.vip))
        with plan.open() as given:
            return subprocess.Popen(
                inside(self._names.namespace(client), *program), stdin=given, stdout=output
            )

    def _attempt(self, outcome: dict[str, str]) -> Attempt:
        return Attempt(
            batch=outcome["batch"],
            at_s=float(outcome["began"]) - self._recorder.began,
            client=outcome["client"],
            source=IpAddress.parse(outcome["source"]),
            source_port=int(outcome["source_port"]),
            server_port=int(outcome["server_port"]),
            answered_by=outcome["answered_by"],
            error=outcome["error"],
        )
