# SPDX-License-Identifier: Apache-2.0
"""A good configuration becomes the core's values; a file that is none says why."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from wlbs.config.error import ConfigError, Problem
from wlbs.config.example import example
from wlbs.config.load import HostSettings, load
from wlbs.core.address import IpAddress
from wlbs.core.buckets import HashKey
from wlbs.core.cluster import TIMINGS, Cluster, Healing, Host, Mode, TcHook, XdpMode
from wlbs.core.rules import Affinity, FilteringMode, HostIndex, PortRule, Protocol

Write = Callable[[str], Path]
KEY = HashKey(
    hashlib.blake2b(
        bytes.fromhex("00112233445566778899aabbccddeeff"),
        person=b"wlbs bucket hash",
        digest_size=16,
    ).digest()
)
HEARTBEAT_KEY = hashlib.blake2b(
    bytes.fromhex("00112233445566778899aabbccddeeff"), person=b"wlbs heartbeats", digest_size=32
).digest()


def refusals(path: Path) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert caught.value.path == path
    return caught.value.problems


def test_every_key_arrives_in_the_cores_values(write: Write, good: str) -> None:
    address = IpAddress.parse
    h1, h2 = HostIndex(0), HostIndex(1)
    configuration = load(write(good))
    assert configuration.cluster == Cluster(
        name="web",
        mode=Mode.STEALTH,
        vips=(address("10.0.0.100"), address("10.0.0.101"), address("10.0.0.102")),
        hosts=(Host(1, "h1", address("10.0.0.1")), Host(2, "h2", address("10.0.0.2"))),
        rules=(
            PortRule(80, 80, Protocol.TCP, affinity=Affinity.NONE),
            PortRule(
                8000,
                8099,
                Protocol.BOTH,
                address("10.0.0.101"),
                FilteringMode.MULTIPLE,
                Affinity.NETWORK,
                {h1: 30, h2: 60},
            ),
        ),
        key=KEY,
        heartbeat_key=HEARTBEAT_KEY,
        timing=TIMINGS["default"],
    )
    assert configuration.settings == {
        h1: HostSettings("eth0", XdpMode.NATIVE, TcHook.AUTO),
        h2: HostSettings("eth1", XdpMode.GENERIC, TcHook.CLSACT),
    }
    assert configuration.warnings == ()


def test_the_clusters_choices_hold_for_hosts_that_make_none(write: Write, good: str) -> None:
    chosen = good.replace('interface = "eth0"', 'interface = "eth0"\nxdp = "generic"\ntc = "tcx"')
    configuration = load(write(chosen))
    assert configuration.settings[HostIndex(0)] == HostSettings("eth0", XdpMode.GENERIC, TcHook.TCX)


@pytest.mark.parametrize("mode", Mode)
def test_the_mode_is_chosen_by_its_name(write: Write, good: str, mode: Mode) -> None:
    chosen = good.replace('name = "web"', f'name = "web"\nmode = "{mode}"')
    assert load(write(chosen)).cluster.mode is mode


def test_a_unicast_cluster_may_leave_its_source_unmasked(write: Write, good: str) -> None:
    """Behind one hub there is no switch to learn anything (KB Q193602)."""
    assert load(write(good)).cluster.masks_source
    words = 'name = "web"\nmode = "unicast"\nmask_source = false'
    assert not load(write(good.replace('name = "web"', words))).cluster.masks_source


@pytest.mark.parametrize(
    ("words", "healing"),
    [
        ("", {Healing.RELAY}),
        ("healing = []", set()),
        ('healing = ["relay", "bounce"]', {Healing.RELAY, Healing.BOUNCE}),
    ],
)
def test_healing_is_as_much_as_is_allowed(
    write: Write, good: str, words: str, healing: set[Healing]
) -> None:
    chosen = good.replace('name = "web"', f'name = "web"\n{words}')
    assert load(write(chosen)).cluster.healing == healing


@pytest.mark.parametrize("name", TIMINGS)
def test_the_timing_is_chosen_by_its_name(write: Write, good: str, name: str) -> None:
    chosen = good.replace('interface = "eth0"', f'interface = "eth0"\ntiming = "{name}"')
    assert load(write(chosen)).cluster.timing == TIMINGS[name]


def test_the_order_of_hosts_in_the_file_carries_no_meaning(write: Write, good: str) -> None:
    head, second, first_and_rules = good.split("[[host]]")
    first, *rules = first_and_rules.split("[[rule]]")
    swapped = f"{head}[[host]]{first}[[host]]{second}" + "".join(f"[[rule]]{r}" for r in rules)
    assert load(write(swapped)) == load(write(good))


def test_a_key_file_stands_in_the_files_folder_or_anywhere(
    write: Write, good: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    relative = load(write(good))
    absolute = load(write(good.replace('"web.key"', f'"{tmp_path}/web.key"')))
    assert relative == absolute


def test_digits_may_be_parted_and_of_either_case(write: Write, good: str, tmp_path: Path) -> None:
    path = write(good)
    (tmp_path / "web.key").write_text("0011 2233 4455 6677\n8899 AABB CCDD EEFF\n")
    assert load(path).cluster.key == KEY


@pytest.mark.parametrize("host_count", [1, 2, 64])
@pytest.mark.parametrize("primary", ["192.0.2.10", "10.0.0.1", "10.0.0.254", "10.0.0.0"])
def test_the_example_has_no_problem_for_any_number_of_hosts(
    write: Write, primary: str, host_count: int
) -> None:
    configuration = load(write(example(IpAddress.parse(primary), host_count)))
    assert configuration.cluster.primary == IpAddress.parse(primary)
    assert [host.priority for host in configuration.cluster.hosts] == list(range(1, host_count + 1))
    assert configuration.warnings == ()


def test_the_comments_of_the_example_are_keys_that_one_can_use(write: Write) -> None:
    text = example(IpAddress.parse("192.0.2.10"), 2)
    used = "\n".join(
        line.removeprefix("# ") if line.startswith("# ") and " = " in line else line
        for line in text.splitlines()
    )
    assert used.count("xdp = ") == 1, "the comments were not uncommented"
    assert load(write(used)).cluster.vips[1:] == (IpAddress.parse("192.0.2.20"),)


def test_no_rule_is_worth_a_warning(write: Write, good: str) -> None:
    (warning,) = load(write(good.partition("[[rule]]")[0])).warnings
    assert "default host" in warning.wrong


def test_weights_that_let_nobody_serve_are_worth_a_warning(write: Write, good: str) -> None:
    (warning,) = load(write(good.replace("h1 = 30, h2 = 60", "h1 = 0, h2 = 0"))).warnings
    assert (warning.line, warning.where) == (33, "rule 2, load_weights")
    assert load(write(good.replace("h1 = 30, h2 = 60", "h1 = 0"))).warnings == ()


def test_a_missing_file_is_a_problem_of_the_configuration(tmp_path: Path) -> None:
    (problem,) = refusals(tmp_path / "nothing.toml")
    assert "No such file" in problem.wrong


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (problem,) = refusals(tmp_path)
    assert "Is a directory" in problem.wrong


def test_a_file_beyond_all_measure_is_not_read(write: Write) -> None:
    (problem,) = refusals(write("#" * ((1 << 20) + 1)))
    assert "more than 1048576 bytes" in problem.wrong


def test_bytes_that_are_no_text_are_named_with_their_line(write: Write, good: str) -> None:
    path = write(good)
    path.write_bytes(b"# one\n# two \xff\n")
    (problem,) = refusals(path)
    assert (problem.line, problem.wrong) == (2, "this is not UTF-8")


@pytest.mark.parametrize(
    ("text", "line", "wrong"),
    [
        ("a = 1\nb = = 2\n", 2, "Invalid value"),
        ("a = 1\n\na = 2\n", 3, "Cannot overwrite a value"),
        ("[cluster\n", 1, "Expected ']'"),
        ('a = 1\nb = "open', 2, "Unterminated string"),
        ("a = " + "9" * 5000, 1, "integer string conversion"),
        ("a = " + "[" * 5000, 1, "nested too deeply"),
    ],
)
def test_what_is_no_toml_is_named_with_its_line(
    write: Write, text: str, line: int, wrong: str
) -> None:
    (problem,) = refusals(write(text))
    assert problem.line == line
    assert wrong in problem.wrong


def test_the_errors_words_have_file_line_key_fault_and_cure(write: Write, good: str) -> None:
    path = write(good.replace("ports = 80", 'ports = "90-80"').replace('tc = "cl', 'tc = "xl'))
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value) == (
        f'{path}:17: host 1, tc: "xlsact" is none of the choices\n  cure: write "clsact"\n'
        f"{path}:25: rule 1, ports: the range 90-80 runs backwards\n"
        '  cure: write ports = "80-90"'
    )


def test_the_errors_names_cost_no_pydantic() -> None:
    program = "import sys, wlbs.config.error; sys.exit('pydantic' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
