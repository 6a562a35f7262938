# SPDX-License-Identifier: Apache-2.0
"""Each playbook, played anew, reads as it is written; `--rewrite` writes what it is now.

.venv/bin/python -m pytest tests/playbooks --rewrite && git diff tests/playbooks
"""

from pathlib import Path

import pytest
from tests.playbooks.stage import Stage

from wlbs.core.address import IpAddress
from wlbs.core.buckets import HashKey
from wlbs.core.cluster import Cluster, Host, Mode
from wlbs.core.rules import Affinity, PortRule, Protocol

PLAYBOOKS = sorted(Path(__file__).parent.glob("*.txt"))

CLUSTER = Cluster(
    name="web",
    mode=Mode.STEALTH,
    vips=(IpAddress.parse("10.0.0.1"),),
    hosts=tuple(Host(at, f"h{at}", IpAddress.parse(f"10.0.0.1{at}")) for at in (1, 2, 3)),
    rules=(PortRule(80, 80, Protocol.TCP, affinity=Affinity.NONE),),
    key=HashKey(bytes(range(16))),
    heartbeat_key=b"playbooks",
)


def played(text: str) -> str:
    return "".join(f"{line}\n" for line in Stage(CLUSTER).play(text))


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.stem)
def test_a_playbook_reads_as_it_is_played(path: Path, pytestconfig: pytest.Config) -> None:
    written = path.read_text()
    now = played(written)
    if pytestconfig.getoption("--rewrite"):
        path.write_text(now)
        return
    assert now == written, "read the difference; if it is right, run pytest with --rewrite"


def test_there_is_a_playbook_for_each_story() -> None:
    stories = {"crash", "drainstop", "duplicate-priority", "join", "partition-heal", "stall"}
    stories |= {"capture-host", "capture-stranger", "capture-unseen"}
    assert {path.stem for path in PLAYBOOKS} >= stories


def test_what_was_written_is_not_what_is_played() -> None:
    """A line that the protocol did not make does not survive being played."""
    script = "# one line\nat 0 ms start h1\n"
    assert played(script + "      0.00 h1 > a line that somebody made up\n") == played(script)
    assert "a line" not in played(script).split("# one line")[1]


def test_what_a_playbook_cannot_do_is_said() -> None:
    with pytest.raises(KeyError, match="frobnicate"):
        played("at 0 ms frobnicate h1\n")
    with pytest.raises(AssertionError, match="say when in ms"):
        played("at 0 s start h1\n")
