# SPDX-License-Identifier: Apache-2.0
"""What the agent reads of a host: interfaces, addresses, listeners, locks, the packet filter."""

import os
import socket
import subprocess
from pathlib import Path

import pytest

from wlbs.core.address import IpAddress
from wlbs.core.frame import IpProtocol
from wlbs.linux import link, namespace, sysctl
from wlbs.linux.error import LinuxError
from wlbs.linux.instance import Instance
from wlbs.linux.listener import listeners
from wlbs.linux.lock import Lock, LockedError
from wlbs.linux.ruleset import diverted_ports_in

VIP = IpAddress.parse("198.51.100.7")


def test_a_missing_interface_is_named_with_those_there_are(fresh_namespace: str) -> None:
    del fresh_namespace
    with pytest.raises(LinuxError, match=r"no interface eth9 here.*lo"):
        link.find("eth9")


def test_a_host_address_has_scope_host_and_is_added_and_removed_twice(
    fresh_namespace: str,
) -> None:
    del fresh_namespace
    link.add_host_address("lo", VIP)
    link.add_host_address("lo", VIP)
    assert link.AddressOnLink("lo", VIP, 32) in link.addresses()
    shown = subprocess.run(["ip", "-o", "a"], check=True, capture_output=True, text=True).stdout
    assert f"{VIP}/32 scope host" in shown
    link.remove_address(link.AddressOnLink("lo", VIP, 32))
    link.remove_address(link.AddressOnLink("lo", VIP, 32))
    assert not [each for each in link.addresses() if each.address == VIP]


def test_a_setting_that_does_not_exist_reads_as_none() -> None:
    assert sysctl.read("net/ipv4/conf/nowhere/arp_ignore") is None


def test_listeners_are_found_by_address_and_port(fresh_namespace: str) -> None:
    del fresh_namespace
    link.set_up("lo", up=True)
    link.add_host_address("lo", VIP)
    with (
        socket.create_server((str(VIP), 81)),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
    ):
        datagrams.bind(("0.0.0.0", 53))  # noqa: S104 - in a namespace of its own
        there = listeners()
    other = IpAddress.parse("198.51.100.8")
    assert any(each.serves(VIP, IpProtocol.TCP, range(80, 90)) for each in there)
    assert not any(each.serves(other, IpProtocol.TCP, range(80, 90)) for each in there)
    assert not any(each.serves(VIP, IpProtocol.UDP, range(80, 90)) for each in there)
    assert any(each.serves(other, IpProtocol.UDP, range(53, 54)) for each in there)


def test_translated_ports_are_found_in_a_ruleset() -> None:
    text = b"""{"nftables": [{"metainfo": {}}, {"rule": {"expr": [
        {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}},
                   "right": {"set": [80, {"range": [8000, 8002]}]}}},
        {"dnat": {"addr": "10.0.0.1"}}]}},
        {"rule": {"expr": [
        {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}},
                   "right": 22}}, {"accept": null}]}}]}"""
    assert diverted_ports_in(text) == {80, 8000, 8001, 8002}


def test_a_lock_names_its_holder_and_is_free_after_release(tmp_path: Path) -> None:
    lock = Lock.take(tmp_path / "lock", "instance x")
    with pytest.raises(LockedError, match=f"instance x is in use.*process {os.getpid()}"):
        Lock.take(tmp_path / "lock", "instance x")
    lock.release()
    Lock.take(tmp_path / "lock", "instance x").release()
    assert not (tmp_path / "lock").exists()


def test_namespaces_are_listed_and_left_again(fresh_namespace: str) -> None:
    assert fresh_namespace in namespace.names()
    inside = namespace.own()
    assert namespace.way_into(inside) == namespace.DIRECTORY / fresh_namespace
    assert os.getpid() not in namespace.processes() or inside == namespace.own()
    with (
        pytest.raises(LinuxError, match="no network namespace nowhere"),
        namespace.entered("nowhere"),
    ):
        pass
    assert namespace.own() == inside


@pytest.mark.parametrize("name", ["", "../x", "a/b", "."])
def test_an_instance_name_cannot_leave_its_directory(name: str) -> None:
    with pytest.raises(LinuxError, match="no name for an instance"):
        Instance(name)
