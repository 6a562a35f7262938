# SPDX-License-Identifier: Apache-2.0
"""A monitor above sees what passed, one below everything and why; both leave nothing behind."""

import json
import signal
import subprocess
from pathlib import Path

import pytest
from scapy.utils import PcapNgReader
from tests.monitor.conftest import ANSWERED, CLIENT, DROPPED, KEPT, PASSED, Site, wait_until

from wlbs.core.cluster import TcHook, XdpMode
from wlbs.datapath.loader import Datapath
from wlbs.linux import link
from wlbs.linux.instance import RUN_DIRECTORY

EVERYTHING = (KEPT, DROPPED, PASSED, ANSWERED)


def test_above_sees_only_what_passed_the_filter(site: Site) -> None:
    running = site.monitor("near", "--json")
    site.send(DROPPED, ANSWERED, KEPT, PASSED)
    wait_until(lambda: len(running.frames()) >= 2, "two frames")
    assert [each["length"] for each in running.frames()] == [len(KEPT), len(PASSED)]
    assert {each["reason"] for each in running.frames()} == {None}


def test_below_sees_every_frame_beside_its_verdict(site: Site) -> None:
    running = site.monitor("near", "--bind", "below", "--json")
    site.send(*EVERYTHING)
    wait_until(lambda: len(running.frames()) >= 4, "four frames")
    assert [(each["action"], each["reason"]) for each in running.frames()] == [
        ("keep", "OWNER"),
        ("drop", "ETHERTYPE"),
        ("pass", "NOT_CLUSTER"),
        ("answer", "ARP_ANSWERED"),
    ]
    assert [each["length"] for each in running.frames()] == list(map(len, EVERYTHING))
    assert {each["direction"] for each in running.frames()} == {"in"}


def test_the_instance_tells_the_interface(site: Site) -> None:
    running = site.monitor("--bind", "below")
    assert running.err.read_text() == "capturing on near, bound below\n"


def test_what_is_sent_is_seen_as_the_guard_let_it_out(site: Site) -> None:
    running = site.monitor("near", "--bind", "below", "--json")
    site.send(CLIENT.octets + KEPT[:6] + b"\x88\xb5" + bytes(46), interface="near")
    wait_until(lambda: "02:01:0a:00:00:01" in running.out.read_text(), "the masked frame")
    (sent,) = [json.loads(line) for line in running.out.read_text().splitlines()]
    assert (sent["direction"], sent["source"]) == ("out", "02:01:0a:00:00:01")


def test_a_file_has_the_bytes_and_the_verdict_of_each_frame(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "out.pcapng"
    done = site.monitor("near", "--bind", "below", "--write", str(path), "--count", "4")
    site.send(*EVERYTHING)
    assert done.process.wait(10) == 0
    assert "4 frames, 0 lost" in done.err.read_text()
    with PcapNgReader(str(path)) as reader:
        packets = list(reader)
    assert [bytes(each) for each in packets] == list(EVERYTHING)
    assert [each.comments for each in packets[:2]] == [
        [b"keep OWNER: this host owns the flow's bucket"],
        [b"drop ETHERTYPE: sent to the cluster's MAC with an ethertype it does not serve"],
    ]


def test_stdout_can_be_the_file_and_whoever_reads_it_may_go(site: Site) -> None:
    words = site.command("near", "--bind", "below", "--write", "-")
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(4) == b"\x0a\x0d\x0d\x0a"
        process.stdout.close()
        assert process.stderr.readline() == b"capturing on near, bound below\n"
        site.send(KEPT)
        assert process.wait(10) == 0
        assert b"Traceback" not in process.stderr.read()


def test_lines_on_the_screen_say_who_what_and_why(site: Site) -> None:
    done = site.monitor("near", "--bind", "below", "--count", "2")
    site.send(KEPT, ANSWERED)
    assert done.process.wait(10) == 0
    kept, answered = done.out.read_text().splitlines()
    assert "in  02:00:00:00:00:99 > 02:bf:0a:00:00:01 UDP 10.0.0.99:9 > 10.0.0.1:7 [keep" in kept
    assert "ARP who has 10.0.0.1? tell 10.0.0.99 [answer ARP_ANSWERED: " in answered


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("bound", ["above", "below"])
def test_a_signal_ends_it_and_nothing_is_left(
    site: Site, bound: str, number: signal.Signals
) -> None:
    before = (Datapath.leftovers(site.datapath.pins), attached(), link.find("near"))
    running = site.monitor("near", "--bind", bound, "--announce", "--yes")
    assert " frames, 0 lost" in running.end(number)
    assert (Datapath.leftovers(site.datapath.pins), attached(), link.find("near")) == before
    assert not (RUN_DIRECTORY / "locks" / f"tap-{site.name}").exists()


def test_time_ends_it(site: Site) -> None:
    done = site.run("near", "--seconds", "0.1", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["kind"] == "summary"


def test_where_no_filter_is_it_says_so_and_captures_all_the_same(site: Site) -> None:
    running = site.monitor("far", "--bind", "below", "--json")
    assert f"far has no filter of instance {site.name} to be below of" in running.err.read_text()
    assert running.err.read_text().endswith("capturing on far, bound above\n")
    site.send(KEPT, interface="far")
    wait_until(lambda: len(running.frames()) == 1, "the frame")


def test_a_second_one_below_is_told_who_is_there(site: Site) -> None:
    first = site.monitor("near", "--bind", "below")
    done = site.run("near", "--bind", "below")
    assert done.returncode == 3
    assert f"process {first.process.pid}" in done.stderr


def test_a_filter_that_was_replaced_ends_it_with_words(site: Site) -> None:
    running = site.monitor("near", "--bind", "below")
    index = link.find("near").index
    site.datapath.detach(index)
    assert running.process.wait(10) == 3
    assert "near is gone, or has another filter" in running.err.read_text()
    site.datapath.attach_ingress(index, XdpMode.NATIVE, TcHook.AUTO)


def test_words_that_contradict_each_other_are_refused(site: Site) -> None:
    for words in (("--identify", "--announce"), ("--json", "--write", "-")):
        done = site.run("near", *words)
        assert done.returncode == 2
        assert not (site.folder / "-").exists()


def test_a_file_that_cannot_be_is_named(site: Site) -> None:
    done = site.run("near", "--write", "/nowhere/x.pcapng")
    assert done.returncode == 3
    assert "cannot write /nowhere/x.pcapng" in done.stderr


def attached() -> str:
    done = subprocess.run(
        ["bpftool", "net", "show"], check=True, capture_output=True, text=True, timeout=10
    )
    return done.stdout
