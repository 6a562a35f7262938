# SPDX-License-Identifier: Apache-2.0
"""`wlbs check`, `init`, `schema` and `ip2mac` as an operator runs them."""

import json
from pathlib import Path
from typing import Final

import pytest

from wlbs.cli.exits import Exit
from wlbs.cli.main import run

REPOSITORY: Final = Path(__file__).parents[2]


@pytest.fixture
def started(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """Return the path of a fresh configuration, its key file beside it."""
    assert run(["init"]) == Exit.OK
    path = tmp_path / "web.toml"
    path.write_text(capsys.readouterr().out)
    key_file = tmp_path / "web.key"
    key_file.touch(mode=0o600)
    key_file.write_text("0123456789abcdef" * 4)
    return path


def test_what_init_prints_is_checked_without_a_word_of_blame(
    started: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["check", str(started)]) == Exit.OK
    assert capsys.readouterr().out == (
        f"{started}: cluster web, 1 virtual IP, 2 hosts, 2 rules: no problems\n"
    )


def test_a_fresh_configuration_lacks_its_key_and_says_how_to_make_it(
    started: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (started.parent / "web.key").unlink()
    assert run(["check", str(started)]) == Exit.CONFIGURATION
    out, err = capsys.readouterr()
    assert out == ""
    assert "cluster, key_file: cannot read" in err
    assert "openssl rand -hex 32" in err
    assert len(err.splitlines()) == 2, "the key is the only thing that is missing"


def test_init_makes_as_many_hosts_as_asked_for(
    tmp_path: Path, started: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["init", "--hosts", "64", "--primary-ip", "10.1.2.60"]) == Exit.OK
    path = tmp_path / "many.toml"
    path.write_text(capsys.readouterr().out)
    assert started.parent == tmp_path
    assert run(["check", str(path)]) == Exit.OK
    assert "64 hosts" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["init", "--hosts", "0"], "1<=x<=64"),
        (["init", "--hosts", "65"], "1<=x<=64"),
        (["init", "--primary-ip", "2001:db8::1"], "IPv6 virtual IPs are not supported yet"),
        (["init", "--primary-ip", "web"], "not an IP address"),
        (["ip2mac", "10.0.0"], "10.0.0"),
        (["check"], "FILE"),
    ],
)
def test_wrong_words_are_answered_with_the_reason(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == Exit.CONFIGURATION
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err


def test_problems_go_to_standard_error_with_status_two(
    started: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    started.write_text(started.read_text().replace("ports = 443", "ports = 80"))
    assert run(["check", str(started)]) == Exit.CONFIGURATION
    out, err = capsys.readouterr()
    assert out == ""
    assert "rule 2, ports: tcp 80 of all virtual IPs overlaps tcp 80 of all virtual IPs" in err


def test_warnings_are_shown_and_do_not_fail(
    started: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    started.write_text(started.read_text().partition("[[rule]]")[0])
    assert run(["check", str(started)]) == Exit.OK
    assert "warning: " in capsys.readouterr().out
    assert run(["check", str(started), "--json"]) == Exit.OK
    report = json.loads(capsys.readouterr().out)
    assert report["problems"] == []
    assert [warning["where"] for warning in report["warnings"]] == ["rule"]


def test_programs_get_problems_as_one_object(
    started: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = started.read_text().replace('name = "web"', 'name = "w b"')
    started.write_text(text)
    assert run(["check", str(started), "--json"]) == Exit.CONFIGURATION
    out, err = capsys.readouterr()
    report = json.loads(out)
    (problem,) = report["problems"]
    assert err == ""
    assert report["file"] == str(started)
    assert set(problem) == {"line", "where", "wrong", "remedy"}
    assert problem["line"] == text.splitlines().index('name = "w b"') + 1


def test_a_file_that_is_not_there_is_a_wrong_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["check", str(tmp_path / "none.toml")]) == Exit.CONFIGURATION
    assert "none.toml:1: the file: cannot read it" in capsys.readouterr().err


def test_the_schema_is_one_json_object_with_the_three_sections(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["schema"]) == Exit.OK
    assert set(json.loads(capsys.readouterr().out)["properties"]) == {"cluster", "host", "rule"}


def test_the_packaged_example_is_what_init_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init"]) == Exit.OK
    packaged = (REPOSITORY / "packaging/wlbs.toml.example").read_text()
    assert packaged == capsys.readouterr().out, "run: wlbs init > packaging/wlbs.toml.example"


def test_ip2mac_prints_the_addresses_as_nlb_makes_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["ip2mac", "10.0.0.10"]) == Exit.OK
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[:5]] == [
        ["primary_ip", "10.0.0.10"],
        ["unicast", "02:bf:0a:00:00:0a"],
        ["multicast", "03:bf:0a:00:00:0a"],
        ["igmp", "01:00:5e:7f:00:0a"],
        ["masked", "02:hh:0a:00:00:0a"],
    ]
    assert lines[5].endswith("02:01:0a:00:00:0a to 02:40:0a:00:00:0a")


def test_ip2mac_knows_ipv6_already(capsys: pytest.CaptureFixture[str]) -> None:
    """The address is Get-NlbClusterDriverInfo's own example."""
    assert run(["ip2mac", "2001:4898:e8:3018:bd82:dde1:6615:7b0", "--json"]) == Exit.OK
    assert json.loads(capsys.readouterr().out)["unicast"] == "02:bf:fb:7e:a2:d1"


@pytest.mark.parametrize("command", ["check", "init", "schema", "ip2mac"])
def test_every_command_teaches_by_an_example(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([command, "--help"]) == Exit.OK
    shown = capsys.readouterr().out
    assert f"\n    wlbs {command}" in shown, "the example is not kept line by line"
