# SPDX-License-Identifier: Apache-2.0
"""Every kind of problem: found, on the right line, beside all others, with what to write.

Each case changes one line of a good configuration, so the line at which it is reported is known,
and the good one without a problem shows that each check can pass.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from wlbs.config.error import ConfigError, Problem
from wlbs.config.load import load

Write = Callable[[str], Path]


class Fault(NamedTuple):
    """One change to the good configuration and the problem it makes."""

    before: str
    after: str
    where: str
    wrong: str
    remedy: str


ONE_KEY = [
    Fault('name = "web"', 'name = "w b"', "cluster, name", "is no name", 'name = "web"'),
    Fault('name = "web"', 'nam = "web"', "cluster, nam", "no key", "write name"),
    Fault('name = "web"', "zzz = 1", "cluster, zzz", "no key", "the keys here are name, mode"),
    Fault('name = "web"', 'name = "w"\nmode = "x"', "cluster, mode", "choices", "stealth"),
    Fault('name = "web"', 'name = "w"\nmode = "stelth"', "cluster, mode", "choices", '"stealth"'),
    Fault('name = "web"', 'name = "w"\nmask_source = 0', "cluster, mask_source", "bool", "false"),
    Fault(
        'name = "web"',
        'name = "w"\nmask_source = false',
        "cluster, mask_source",
        "in mode stealth no host sends from the cluster's MAC",
        'mode = "unicast"',
    ),
    Fault('name = "web"', 'name = "w"\nhealing = 1', "cluster, healing", "right kind", "bounce"),
    Fault(
        'name = "web"',
        'name = "w"\nhealing = ["bonce"]',
        "cluster, healing 1",
        '"bonce" is none of the choices',
        'write "bounce"',
    ),
    Fault(".0.100", ".0.300", "cluster, primary_ip", "not an IP address", "bare address"),
    Fault(".0.100", ".0.100/24", "cluster, primary_ip", "not an IP address", "no prefix"),
    Fault(
        "10.0.0.100",
        "2001:db8::1",
        "cluster, primary_ip",
        "IPv6 virtual IPs are not supported yet",
        "IPv4",
    ),
    Fault("10.0.0.100", "224.0.0.1", "cluster, primary_ip", "belong to no host", "unicast"),
    Fault("10.0.0.100", "255.255.255.255", "cluster, primary_ip", "broadcast", "your network"),
    Fault('  "10.0.0.102"', "  7", "cluster, virtual_ips 2", "valid string", "virtual_ips = ["),
    Fault("10.0.0.102", "10.0.0.100", "cluster, virtual_ips 2", "line 3", "once"),
    Fault('"web.key"', '""', "cluster, key_file", "at least 1 character", "key_file = "),
    Fault('"web.key"', '"no.key"', "cluster, key_file", "No such file", "openssl rand -hex 32"),
    Fault('"eth0"', '"a name too long"', "cluster, interface", "at most 15", '"eth0"'),
    Fault("priority = 2", "priority = 65", "host 1, priority", "less than or equal", "priority"),
    Fault("priority = 2", "priority = 0", "host 1, priority", "greater than or equal", "priority"),
    Fault("priority = 2", "priority = true", "host 1, priority", "valid integer", "priority = 1"),
    Fault("priority = 1", "priority = 2", "host 2, priority", "line 12", "of its own"),
    Fault('name = "h1"', 'name = "h2"', "host 2, name", "host 1, name, line 13", "of its own"),
    Fault('"10.0.0.1"', '"10.0.0.2"', "host 2, dedicated_ip", "line 14", "of its own"),
    Fault('"10.0.0.1"', '"10.0.0.101"', "host 2, dedicated_ip", "line 5", "only this host has"),
    Fault('"10.0.0.1"', '"10.0.0.100"', "host 2, dedicated_ip", "line 3", "only this host has"),
    Fault('"10.0.0.1"', '"::1"', "host 2, dedicated_ip", "IPv6 dedicated IPs", "IPv4"),
    Fault('xdp = "generic"', 'xdp = "genric"', "host 1, xdp", "choices", '"generic"'),
    Fault('xdp = "generic"', "xdp = 1", "host 1, xdp", "choices", "native, generic"),
    Fault('tc = "clsact"', 'tc = "eBPF"', "host 1, tc", "choices", "auto, tcx, clsact"),
    Fault("ports = 80\n", "ports = 65536\n", "rule 1, ports", "65536 is not a port", "65535"),
    Fault("ports = 80\n", 'ports = "1-2-3"\n', "rule 1, ports", "is not a port", "8000-8099"),
    Fault("ports = 80\n", 'ports = "http"\n', "rule 1, ports", "is not a port", "8000-8099"),
    Fault("ports = 80\n", "ports = true\n", "rule 1, ports", "true is not a port", "8000-8099"),
    Fault("ports = 80\n", 'ports = "9-8"\n', "rule 1, ports", "backwards", '"8-9"'),
    Fault("ports = 80\n", f"ports = 0x{'f' * 4000}\n", "rule 1, ports", "the value", "8000"),
    Fault('"8000-8099"', '"80-90"', "rule 2, ports", "rule 1, ports, line 25", "part the ports"),
    Fault('protocol = "tcp"', 'protocol = "tpc"', "rule 1, protocol", "choices", '"tcp"'),
    Fault('affinity = "none"', 'affinity = "nome"', "rule 1, affinity", "choices", '"none"'),
    Fault('affinity = "none"', 'mode = "single"', "rule 1, mode", "choices", "multiple"),
    Fault('ip = "10.0.0.101"', 'ip = "10.9.9.9"', "rule 2, virtual_ip", "not a virtual", "all"),
    Fault('ip = "10.0.0.101"', 'ip = "al"', "rule 2, virtual_ip", "not an IP", "bare"),
    Fault("{ h1 = 30", "{ h1 = 101", "rule 2, load_weights, h1", "less than", "30"),
    Fault("{ h1 = 30", "{ h1 = -1", "rule 2, load_weights, h1", "greater than", "30"),
    Fault("{ h1 = 30", "{ hh1 = 30", "rule 2, load_weights, hh1", "no host", '"h1"'),
    Fault("{ h1 = 30, h2 = 60 }", "7", "rule 2, load_weights", "right kind", "load_weights = {"),
]


def problems(path: Path) -> tuple[Problem, ...]:
    try:
        load(path)
    except ConfigError as error:
        return error.problems
    return ()


def changed_line(good: str, bad: str) -> int:
    """Return the last line of the change: where the changed key stands."""
    good_lines, bad_lines = good.splitlines(), bad.splitlines()
    first = next(at for at, (g, b) in enumerate(zip(good_lines, bad_lines, strict=False)) if g != b)
    return first + 1 + len(bad_lines) - len(good_lines)


def test_the_good_configuration_has_no_problem(write: Write, good: str) -> None:
    assert problems(write(good)) == ()


@pytest.mark.parametrize("fault", ONE_KEY, ids=lambda f: f"{f.where}: {f.after.strip()[:20]}")
def test_one_wrong_key_is_named_with_line_fault_and_cure(
    write: Write, good: str, fault: Fault
) -> None:
    bad = good.replace(fault.before, fault.after, 1)
    assert bad != good, "the case changes nothing"
    found = [problem for problem in problems(write(bad)) if "missing" not in problem.wrong]
    (problem,) = found
    assert (problem.line, problem.where) == (changed_line(good, bad), fault.where)
    assert fault.wrong in problem.wrong
    assert fault.remedy in problem.remedy


@pytest.mark.parametrize(
    ("key", "line", "where"),
    [
        ('name = "web"', 1, "cluster, name"),
        ('primary_ip = "10.0.0.100"', 1, "cluster, primary_ip"),
        ('key_file = "web.key"', 1, "cluster, key_file"),
        ("priority = 2", 11, "host 1, priority"),
        ('name = "h1"', 19, "host 2, name"),
        ('dedicated_ip = "10.0.0.2"', 11, "host 1, dedicated_ip"),
        ('ports = "8000-8099"', 29, "rule 2, ports"),
    ],
)
def test_a_missing_key_is_reported_where_its_section_begins(
    write: Write, good: str, key: str, line: int, where: str
) -> None:
    (problem,) = problems(write(good.replace(key, "#", 1)))
    assert (problem.line, problem.where, problem.wrong) == (line, where, "the key is missing")
    assert problem.remedy.startswith(f"add {key.split(' ', maxsplit=1)[0]} = ")


def test_an_interface_may_be_missing_only_where_a_host_names_one(write: Write, good: str) -> None:
    (problem,) = problems(write(good.replace('interface = "eth0"', "", 1)))
    assert (problem.line, problem.where) == (19, "host 2")
    assert "interface" in problem.wrong


@pytest.mark.parametrize(
    ("text", "where", "remedy"),
    [
        ("", "cluster", "add [cluster]"),
        ("", "host", "[[host]]"),
        ("cluster = 5", "cluster", "write [cluster]"),
        ("[host]\npriority = 1", "host", "two brackets"),
        ("rule = [1]", "rule 1", "two brackets"),
        ("[cluster]\nvirtual_ips = 3", "cluster, virtual_ips", "virtual_ips = ["),
    ],
)
def test_sections_of_the_wrong_kind_are_named(
    write: Write, text: str, where: str, remedy: str
) -> None:
    (problem,) = [found for found in problems(write(text)) if found.where == where]
    assert remedy in problem.remedy


def test_all_problems_are_told_at_once_each_on_its_line(write: Write, good: str) -> None:
    """Faults of single keys, between keys and of the key file hide none of each other."""
    bad = good
    for before, after in [
        ('name = "web"', 'nmae = "web"'),
        ("10.0.0.102", "10.0.0.100"),
        ('"web.key"', '"no.key"'),
        ("priority = 1", "priority = 99"),
        ('"10.0.0.1"', '"10.0.0.2"'),
        ("ports = 80\n", 'ports = "8080-8090"\n'),
        ('protocol = "tcp"', 'protocol = "both"'),
        ('affinity = "none"', 'affinity = "nnoe"'),
        ("h2 = 60", "h3 = 60"),
    ]:
        bad = bad.replace(before, after, 1)
    assert [(problem.line, problem.where) for problem in problems(write(bad))] == [
        (1, "cluster, name"),
        (2, "cluster, nmae"),
        (6, "cluster, virtual_ips 2"),
        (8, "cluster, key_file"),
        (20, "host 2, priority"),
        (22, "host 2, dedicated_ip"),
        (27, "rule 1, affinity"),
        (30, "rule 2, ports"),
        (33, "rule 2, load_weights, h3"),
    ]


def test_a_wrong_key_invents_no_problem_elsewhere(write: Write, good: str) -> None:
    """What a refused name, virtual IP or port would have settled is left open."""
    for before, after in [
        ('name = "h1"', 'name = "h 1"'),
        ("10.0.0.101", "10.0.0.x"),
        ('"10.0.0.100"', "1"),
        ('"10.0.0.100"', '"::1"'),
    ]:
        found = problems(write(good.replace(before, after, 1)))
        assert len(found) == 1, (before, after, found)


def test_a_refused_protocol_invents_no_overlap(write: Write, good: str) -> None:
    """The second rule is apart by protocol, which a default in its place would hide."""
    text = good.replace('protocol = "tcp"', 'protocol = "tpc"')
    (problem,) = problems(write(f'{text}[[rule]]\nports = 80\nprotocol = "udp"\n'))
    assert problem.where == "rule 1, protocol"


def test_a_list_of_virtual_ips_that_is_none_leaves_rules_alone(write: Write, good: str) -> None:
    start, end = good.index("virtual_ips"), good.index("key_file")
    found = problems(write(f"{good[:start]}virtual_ips = 5\n{good[end:]}"))
    assert [problem.where for problem in found] == ["cluster, virtual_ips"]


def rules(count: int) -> str:
    return "".join(f"[[rule]]\nports = {10000 + number}\n" for number in range(count))


def test_the_thirty_third_rule_is_refused_and_the_thirty_second_is_not(
    write: Write, good: str
) -> None:
    assert problems(write(good + rules(30))) == ()
    (problem,) = problems(write(good + rules(31)))
    line = len((good + rules(30)).splitlines()) + 1
    assert (problem.line, problem.where) == (line, "rule 33")


def test_the_thirty_third_virtual_ip_is_refused_and_the_thirty_second_is_not(
    write: Write, good: str
) -> None:
    def with_more(count: int) -> str:
        more = "".join(f'  "10.0.1.{number}",\n' for number in range(count))
        return good.replace('  "10.0.0.102",\n', f'  "10.0.0.102",\n{more}')

    assert problems(write(with_more(29))) == ()
    (problem,) = problems(write(with_more(30)))
    assert (problem.line, problem.where) == (4, "cluster, virtual_ips")


@pytest.mark.parametrize(
    "extra",
    [
        'ports = 80\nprotocol = "udp"',
        'ports = "100-7999"',
        'ports = "8000-8099"\nvirtual_ip = "10.0.0.102"',
    ],
)
def test_rules_that_share_no_packet_do_not_overlap(write: Write, good: str, extra: str) -> None:
    assert problems(write(f"{good}[[rule]]\n{extra}\n")) == ()


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b"00" * 15 + b"0\n", "does not hold hexadecimal digits"),
        (b"00" * 15, "holds 30 hexadecimal digits"),
        (b"", "holds 0 hexadecimal digits"),
        (b"zz" * 32, "does not hold hexadecimal digits"),
        (b"\xff" * 32, "does not hold hexadecimal digits"),
        (b"0" * 5000, "more than 4096 bytes"),
    ],
)
def test_a_key_file_without_a_key_is_refused(
    write: Write, good: str, tmp_path: Path, content: bytes, wrong: str
) -> None:
    path = write(good)
    (tmp_path / "web.key").write_bytes(content)
    (problem,) = problems(path)
    assert (problem.line, problem.where) == (8, "cluster, key_file")
    assert wrong in problem.wrong
    assert "openssl rand -hex 32" in problem.remedy


@pytest.mark.parametrize(("mode", "refused"), [(0o600, 0), (0o640, 0), (0o604, 1), (0o602, 1)])
def test_a_key_file_open_to_everybody_is_refused(
    write: Write, good: str, tmp_path: Path, mode: int, refused: int
) -> None:
    path = write(good)
    (tmp_path / "web.key").chmod(mode)
    found = problems(path)
    assert [problem.remedy for problem in found] == [f"chmod 600 {tmp_path}/web.key"] * refused


def test_a_pipe_for_a_key_file_is_refused_and_not_waited_for(
    write: Write, good: str, tmp_path: Path
) -> None:
    path = write(good.replace("web.key", "pipe"))
    os.mkfifo(tmp_path / "pipe", 0o600)
    (problem,) = problems(path)
    assert "not a regular file" in problem.wrong
