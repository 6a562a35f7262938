# SPDX-License-Identifier: Apache-2.0
"""What the agent makes of its interface in each mode, and that it takes it all back."""

import signal

import pytest
from tests.agent.site import DEADLINE_S, Site

from wlbs.core.cluster import Mode
from wlbs.core.protocol.journal import read_beginning
from wlbs.linux.change import UndoRecord

VMAC = "02:bf:c6:33:64:64"
MASKED = "02:01:c6:33:64:64"
POSTURE_MODES = [Mode.UNICAST, Mode.MULTICAST, Mode.IGMP]


def heard(site: Site) -> set[str]:
    return {
        line.split()[0]
        for line in site.run("bridge", "fdb", "show", "dev", "eth0").split("\n")
        if line
    }


def is_promiscuous(site: Site) -> bool:
    return "PROMISC" in site.run("ip", "link", "show", "dev", "eth0")


@pytest.mark.parametrize("mode", Mode)
def test_in_every_mode_it_leaves_the_host_as_it_was(site: Site, mode: Mode) -> None:
    site.choose(mode)
    before = site.observe()
    process = site.ready_agent()
    assert site.observe() != before
    process.send_signal(signal.SIGINT)
    assert process.wait(DEADLINE_S) == 0, (site.folder / "err").read_text()
    assert site.observe() == before


@pytest.mark.parametrize(
    "line_count",
    [pytest.param(n, marks=[] if n % 3 == 1 else pytest.mark.prove) for n in range(1, 15)],
)
@pytest.mark.parametrize("mode", POSTURE_MODES)
def test_killed_at_any_moment_it_is_undone(site: Site, mode: Mode, line_count: int) -> None:
    site.choose(mode)
    before = site.observe()
    site.kill_agent_after(line_count)
    undone = site.ask("undo")
    assert undone.returncode == 0, undone.stderr
    assert site.observe() == before


def test_in_mode_unicast_the_interface_has_the_vmac_and_hears_its_masked_address(
    site: Site,
) -> None:
    """What others send to this host alone is sent to the masked address (KB Q193602, Q197864)."""
    own = site.hardware_address()
    process = site.ready_agent()
    assert (site.hardware_address(), MASKED in heard(site)) == (own, False)
    process.kill()
    process.wait(DEADLINE_S)
    site.choose("unicast")
    site.ready_agent()
    assert "undid what a dead agent" in (site.folder / "out").read_text()
    assert (site.hardware_address(), MASKED in heard(site)) == (VMAC, True)
    assert not is_promiscuous(site)


def test_in_mode_unicast_a_dead_agents_interface_is_taken_over(site: Site) -> None:
    """The record knows the interface's own address, which nothing else does any more."""
    site.choose("unicast")
    own, before = site.hardware_address(), site.observe()
    site.converged_agent()
    nonce = site.status()["hosts"][0]["boot_nonce"]
    site.started[-1].kill()
    site.started[-1].wait(DEADLINE_S)
    made = UndoRecord(site.instance.record).changes()
    assert site.hardware_address() == VMAC
    process = site.converged_agent()
    assert "took over the data path" in (site.folder / "out").read_text()
    assert site.status()["hosts"][0]["boot_nonce"] == nonce
    assert UndoRecord(site.instance.record).changes() == made
    beginning = read_beginning(site.instance.journal.read_text().splitlines()[0])
    assert str(beginning.incarnation.own_mac) == own
    process.send_signal(signal.SIGINT)
    assert process.wait(DEADLINE_S) == 0
    assert site.observe() == before


def test_what_another_mode_left_is_undone_and_not_taken_over(site: Site) -> None:
    site.choose("unicast")
    own, before = site.hardware_address(), site.observe()
    site.ready_agent().kill()
    site.started[-1].wait(DEADLINE_S)
    site.configuration.write_text(
        site.configuration.read_text().replace('mode = "unicast"', 'mode = "stealth"')
    )
    process = site.ready_agent()
    assert "undid what a dead agent" in (site.folder / "out").read_text()
    assert (site.hardware_address(), is_promiscuous(site)) == (own, True)
    process.send_signal(signal.SIGINT)
    assert process.wait(DEADLINE_S) == 0
    assert site.observe() == before


def test_an_interface_that_is_down_has_the_vmac_before_it_is_up(site: Site) -> None:
    site.choose("unicast")
    site.run("ip", "link", "set", "eth0", "down")
    before = site.observe()
    process = site.ready_agent()
    kinds = [type(each).__name__ for each in UndoRecord(site.instance.record).changes()]
    assert kinds.index("HardwareAddressSet") < kinds.index("LinkBroughtUp")
    process.send_signal(signal.SIGINT)
    assert process.wait(DEADLINE_S) == 0
    assert site.observe() == before


@pytest.mark.parametrize(
    ("mode", "address"), [("multicast", "03:bf:c6:33:64:64"), ("igmp", "01:00:5e:7f:64:64")]
)
def test_a_group_is_joined_and_nothing_else_is_heard(site: Site, mode: str, address: str) -> None:
    site.choose(mode)
    site.ready_agent()
    assert address in heard(site)
    assert not is_promiscuous(site)


def test_in_mode_igmp_the_kernel_is_a_member_and_stays_one_when_the_agent_is_killed(
    site: Site,
) -> None:
    site.choose("igmp")
    process = site.ready_agent()
    process.kill()
    process.wait(DEADLINE_S)
    assert "239.255.100.100" in site.run("ip", "maddress", "show", "dev", "eth0")


@pytest.mark.parametrize(
    ("kind", "words"), [("bridge", "other ports"), ("macvlan", "its own address alone")]
)
def test_an_interface_that_cannot_do_it_is_refused_in_mode_unicast(
    site: Site, kind: str, words: str
) -> None:
    below = ("link", "far") if kind == "macvlan" else ()
    site.run("ip", "link", "add", *below, "name", "over", "type", kind)
    site.run("ip", "address", "flush", "dev", "eth0")
    site.run("ip", "address", "add", "198.51.100.1/24", "dev", "over")
    site.choose("unicast")
    text = site.configuration.read_text().replace('"eth0"', '"over"')
    site.configuration.write_text(text)
    refused = site.ask("agent", str(site.configuration))
    assert refused.returncode == 3
    assert f"over is a {kind}, which in mode unicast" in refused.stderr
    assert words in refused.stderr


def test_the_vmac_on_an_interface_without_a_record_is_refused(site: Site) -> None:
    """Nobody knows any more which address was its own."""
    site.choose("unicast")
    site.run("ip", "link", "set", "eth0", "address", VMAC)
    refused = site.ask("agent", str(site.configuration))
    assert refused.returncode == 3
    assert "eth0 has the cluster's own MAC address" in refused.stderr
    assert "ip link set eth0 address" in refused.stderr
