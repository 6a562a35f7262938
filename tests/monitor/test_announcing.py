# SPDX-License-Identifier: Apache-2.0
"""What a monitor says leaves masked from above and bare from below; whoever asks finds it."""

import json
import socket
import subprocess
import time

import pytest
from tests.monitor.conftest import CLIENT, MASKED, VMAC, Site, wait_until

from wlbs.core.address import Mac
from wlbs.core.announcement import Announcement, Bound, Query, decode, encode, source_of
from wlbs.core.reason import Reason
from wlbs.monitor.session import ANSWER_NS_MIN

GUARD = (Reason.GUARD_PASSED, Reason.GUARD_MASKED)


def heard(wire: socket.socket) -> tuple[Mac, Announcement]:
    """Return the next announcement on the wire, and where it says it is from."""
    while True:
        frame = wire.recv(2048)
        said = decode(frame)
        if isinstance(said, Announcement):
            return source_of(frame), said


def test_above_the_guard_masks_every_announcement(site: Site, wire: socket.socket) -> None:
    running = site.monitor("near", "--announce")
    for _ in range(2):
        source, said = heard(wire)
        assert source == MASKED
        assert (said.adapter, said.bound) == (VMAC, Bound.ABOVE)
    assert site.count(Reason.GUARD_MASKED) >= 2
    assert "announcements" in running.end()


@pytest.mark.parametrize("via", ["packet", "af-xdp"])
def test_below_they_leave_past_the_guard_from_the_vmac(
    site: Site, wire: socket.socket, via: str
) -> None:
    """The case of the article (KB Q258609): a switch on this wire would learn the VMAC."""
    before = [site.count(reason) for reason in GUARD]
    site.monitor("near", "--bind", "below", "--announce", "--via", via, "--yes")
    for _ in range(2):
        source, said = heard(wire)
        assert source == VMAC
        assert (said.adapter, said.bound) == (VMAC, Bound.BELOW)
    assert [site.count(reason) for reason in GUARD] == before


@pytest.mark.parametrize("bound", ["above", "below"])
def test_a_query_is_answered_at_once_and_through_the_guard(
    site: Site, wire: socket.socket, bound: str
) -> None:
    """Who does not announce sends nothing by itself, and nothing that could harm."""
    site.monitor("near", "--bind", bound)
    site.send(encode(Query(), CLIENT))
    source, said = heard(wire)
    assert (source, said.bound) == (MASKED, bound)


def test_a_flood_of_queries_is_not_answered_by_a_flood(site: Site) -> None:
    running = site.monitor("near", "--json")
    began = time.monotonic()
    for number in range(1, 31):
        site.send(encode(Query(), CLIENT))
        wait_until(lambda: len(running.frames()) == number, "the query")  # noqa: B023
    running.process.terminate()
    assert running.process.wait(10) == 0
    summary = json.loads(running.out.read_text().splitlines()[-1])
    allowed = (time.monotonic() - began) / (ANSWER_NS_MIN / 1e9) + 1
    assert 1 <= summary["answer_count"] <= min(allowed, 25)


def test_without_a_yes_nothing_is_sent_below_the_guard(site: Site) -> None:
    done = site.run("near", "--bind", "below", "--announce", "--seconds", "1", given="n\n")
    assert done.returncode == 1
    assert "Q258609" in done.stderr
    assert "capturing on" not in done.stderr
    asked = site.run("near", "--bind", "below", "--announce", "--seconds", "0.1", given="y\n")
    assert (asked.returncode, "capturing on" in asked.stderr) == (0, True)


def test_where_nothing_can_leak_nobody_is_asked(site: Site) -> None:
    for words in (("near", "--announce"), ("far", "--bind", "below", "--announce")):
        done = site.run(*words, "--seconds", "0.1")
        assert (done.returncode, "Q258609" in done.stderr) == (0, False)


def test_with_the_vmac_on_no_device_below_is_harmless(site: Site, wire: socket.socket) -> None:
    """As in stealth: what takes its source from the device takes the station MAC."""
    subprocess.run(["ip", "link", "set", "near", "address", str(MASKED)], check=True, timeout=10)
    done = site.run("near", "--bind", "below", "--announce", "--seconds", "0.1")
    assert (done.returncode, "Q258609" in done.stderr) == (0, False)
    assert heard(wire)[0] == MASKED


def test_identify_lists_who_captures_masked_or_not(site: Site) -> None:
    site.monitor("near", "--announce")
    site.monitor("far")
    done = site.run("far", "--identify", "--seconds", "0.5", "--json")
    assert done.returncode == 0
    found = json.loads(done.stdout)["capturers"]
    masked = [each for each in found if each["adapter"] == str(VMAC)]
    assert [(each["bound"], each["source"]) for each in masked] == [("above", str(MASKED))]
    assert len(found) == 2
    shown = site.run("far", "--identify", "--seconds", "0.5").stdout
    assert f"captures on {VMAC}, masked to {MASKED}, bound above, since 20" in shown


def test_identify_says_so_when_nobody_answers(site: Site) -> None:
    done = site.run("far", "--identify", "--seconds", "0.1")
    assert (done.returncode, done.stdout) == (0, "nobody says to be capturing\n")


@pytest.mark.parametrize(("bound", "found_count"), [("above", 0), ("below", 1)])
def test_only_below_is_heard_what_the_filter_drops(
    site: Site, wire: socket.socket, bound: str, found_count: int
) -> None:
    """Another host's leak carries the VMAC as its source, and no filter lets it pass."""
    leaked = encode(Announcement("host2", "eva", VMAC, Bound.BELOW, 0), VMAC)
    words = site.command("near", "--identify", "--bind", bound, "--seconds", "1", "--json")
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        while not isinstance(decode(wire.recv(2048)), Query):
            pass
        site.send(leaked)
        out, _ = process.communicate(timeout=10)
    assert len(json.loads(out)["capturers"]) == found_count
