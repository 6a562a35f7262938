# SPDX-License-Identifier: Apache-2.0
"""Addresses and the cluster's MACs, against Python's own library and Microsoft's examples."""

import ipaddress

import pytest

from wlbs.core.address import BROADCAST, IpAddress, Mac, cluster_macs, masked_mac


@pytest.mark.parametrize("text", ["02:bf:0a:00:00:01", "02-BF-0A-00-00-01"])
def test_a_mac_is_read_in_both_spellings_and_written_in_one(text: str) -> None:
    assert str(Mac.parse(text)) == "02:bf:0a:00:00:01"


@pytest.mark.parametrize("text", ["", "02:bf:0a:00:00", "2:bf:0a:00:00:01", "02:bf:0a:00:00:0g"])
def test_what_is_no_mac_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a MAC address|invalid literal"):
        Mac.parse(text)


def test_a_mac_of_another_size_is_a_programming_error() -> None:
    with pytest.raises(AssertionError, match="6 octets"):
        Mac(b"\0" * 5)


def test_the_group_bit_tells_group_from_station_addresses() -> None:
    assert BROADCAST.is_group
    assert Mac.parse("03:bf:0a:00:00:01").is_group
    assert not Mac.parse("02:bf:0a:00:00:01").is_group


@pytest.mark.parametrize("text", ["10.0.0.1", "0.0.0.1", "255.255.255.255"])
def test_ipv4_is_held_v4_mapped(text: str) -> None:
    address = IpAddress.parse(text)
    assert address.is_v4
    assert address.v4 == int(ipaddress.IPv4Address(text))
    assert address.octets == ipaddress.IPv6Address(f"::ffff:{text}").packed
    assert str(address) == text


def test_ipv6_is_written_in_its_canonical_form() -> None:
    address = IpAddress.parse("2001:DB8:0:0:0:0:0:1")
    assert not address.is_v4
    assert str(address) == "2001:db8::1"


def test_an_ipv6_address_has_no_ipv4_form() -> None:
    with pytest.raises(AssertionError, match="not an IPv4"):
        _ = IpAddress.parse("2001:db8::1").v4


@pytest.mark.parametrize("value", [-1, 1 << 128])
def test_an_address_beyond_128_bits_is_a_programming_error(value: int) -> None:
    with pytest.raises(AssertionError, match="128 bits"):
        IpAddress(value)


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        IpAddress.parse("10.0.0.256")


@pytest.mark.parametrize(
    ("text", "is_multicast"),
    [
        ("223.255.255.255", False),
        ("224.0.0.0", True),
        ("239.255.255.255", True),
        ("240.0.0.0", False),
        ("ff02::1", True),
        ("fe80::1", False),
    ],
)
def test_a_group_is_told_from_a_host(text: str, *, is_multicast: bool) -> None:
    assert IpAddress.parse(text).is_multicast is is_multicast


def test_the_macs_of_an_ipv4_cluster_are_nlbs() -> None:
    """The forms are those of Microsoft KB4494444."""
    macs = cluster_macs(IpAddress.parse("10.0.0.1"))
    assert str(macs.unicast) == "02:bf:0a:00:00:01"
    assert str(macs.multicast) == "03:bf:0a:00:00:01"
    assert str(macs.igmp) == "01:00:5e:7f:00:01"


def test_the_mac_of_an_ipv6_cluster_is_the_one_windows_shows() -> None:
    """The pair stands in Microsoft's documentation of Get-NlbClusterDriverInfo."""
    primary = IpAddress.parse("2001:4898:e8:3018:bd82:dde1:6615:7b0")
    assert cluster_macs(primary).unicast == Mac.parse("02-BF-FB-7E-A2-D1")


def test_the_masked_mac_carries_the_host_priority() -> None:
    assert str(masked_mac(IpAddress.parse("10.0.0.1"), 64)) == "02:40:0a:00:00:01"


@pytest.mark.parametrize("priority", [0, 65])
def test_there_is_no_host_priority_beyond_the_bounds(priority: int) -> None:
    with pytest.raises(AssertionError, match="no host has priority"):
        masked_mac(IpAddress.parse("10.0.0.1"), priority)
