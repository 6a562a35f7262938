# SPDX-License-Identifier: Apache-2.0
"""The agent and the witness: serving without it, and leaving it behind with the rest."""

import os
import shutil
import signal
import sys
from pathlib import Path

from tests.agent.site import DEADLINE_S, SOURCE, Site
from tests.datapath.conftest import compile_witness

from wlbs.core.sighting import Sighting, Where
from wlbs.datapath.loader import Datapath
from wlbs.datapath.witness import OBJECT
from wlbs.linux import libbpf

VMAC = "02bfc6336464"
SEND = """\
import socket
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as packet:
    packet.bind(("eth0", 0))
    packet.send(bytes.fromhex("ffffffffffff{vmac}88b5") + bytes(46))
"""


def give_witness(site: Site, hook: str) -> None:
    """Have the site's agents run a package whose witness is at another hook."""
    site.source = site.folder / "src"
    shutil.copytree(SOURCE, site.source)
    compile_witness(site.source / OBJECT.relative_to(SOURCE).parent, hook)


def take_guard_off(site: Site) -> None:
    """Have what is sent reach the tracepoint as it was sent."""
    (pin,) = site.instance.pins.glob("link-*-egress")
    link = libbpf.open_pinned(pin)
    try:
        libbpf.detach_link(link)
    finally:
        os.close(link)


def sightings(site: Site) -> tuple[Sighting, ...]:
    datapath = Datapath.open(site.instance.pins)
    try:
        return datapath.sightings()
    finally:
        datapath.close()


def test_on_a_kernel_without_it_the_agent_says_so_and_serves(site: Site) -> None:
    give_witness(site, "fentry/no_such_function")
    before = site.observe()
    process = site.converged_agent()
    said = (site.folder / "out").read_text()
    assert "warning: who sends past the guard cannot be told on this host" in said
    assert "the kernel has no such function" in said
    process.send_signal(signal.SIGTERM)
    assert process.wait(DEADLINE_S) == 0
    assert site.observe() == before


def test_it_is_taken_over_with_what_it_has_seen_and_gone_with_the_rest(site: Site) -> None:
    give_witness(site, "tp_btf/net_dev_start_xmit")
    before = site.observe()
    first = site.converged_agent()
    assert "warning: who sends" not in (site.folder / "out").read_text()
    first.kill()
    first.wait(DEADLINE_S)
    take_guard_off(site)
    site.run(sys.executable, "-c", SEND.format(vmac=VMAC))
    second = site.converged_agent()
    assert "took over" in (site.folder / "out").read_text()
    assert [(each.where, str(each.kind)) for each in sightings(site)] == [
        (Where.BYPASSED, "0x88b5")
    ]
    second.send_signal(signal.SIGTERM)
    assert second.wait(DEADLINE_S) == 0
    assert site.observe() == before


def test_undo_takes_it_away_after_a_kill(site: Site) -> None:
    give_witness(site, "tp_btf/net_dev_start_xmit")
    before = site.observe()
    process = site.converged_agent()
    process.kill()
    process.wait(DEADLINE_S)
    assert Path(site.instance.pins / "witness").exists()
    assert site.ask("undo").returncode == 0
    assert site.observe() == before
