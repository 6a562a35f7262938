# SPDX-License-Identifier: Apache-2.0
"""Whatever comes off the wire is decided: no bytes make parser, filter or guard fail."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wlbs.core.claim import Claim
from wlbs.core.filter import Verdict, decide, rewrite
from wlbs.core.frame import Frame, Malformed, parse
from wlbs.core.guard import guard, mask
from wlbs.core.reason import Action
from wlbs.core.table import FilterTable

FIXED = settings(
    derandomize=True,
    deadline=None,
    max_examples=300,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

MACS = st.sampled_from([bytes.fromhex("02bf0a000001"), bytes.fromhex("520000000011"), b"\xff" * 6])
ETHERTYPES = st.sampled_from([b"\x08\x00", b"\x08\x06", b"\x81\x00", b"\x88\x6f"])
IPV4_STARTS = st.sampled_from([b"", bytes.fromhex("4500002800010000400600 00c000024d0a000001")])
NEARLY_FRAMES = st.builds(
    lambda destination, source, ethertype, start, rest: (
        destination + source + ethertype + start + rest
    ),
    MACS,
    st.one_of(MACS, st.binary(min_size=6, max_size=6)),
    ETHERTYPES,
    IPV4_STARTS,
    st.binary(max_size=60),
)
ARP_FRAMES = st.builds(
    lambda destination, operation, sender, target: (
        destination
        + bytes.fromhex("520000000099 0806 000108000604")
        + operation
        + bytes.fromhex("520000000099")
        + sender
        + bytes(6)
        + target
    ),
    MACS,
    st.sampled_from([b"\0\1", b"\0\2", b"\0\3"]),
    *[st.sampled_from([b"\x0a\0\0\1", b"\x0a\0\0\x63", bytes(4)])] * 2,
)
BYTES = st.one_of(st.binary(max_size=120), NEARLY_FRAMES, ARP_FRAMES)


@FIXED
@given(data=BYTES)
def test_the_parser_reads_anything(data: bytes) -> None:
    assert isinstance(parse(data), Frame | Malformed)


@FIXED
@given(data=BYTES, claim=st.sampled_from(Claim), lease_live=st.booleans())
def test_the_filter_decides_anything_and_rewriting_keeps_its_length(
    tables: tuple[FilterTable, ...], data: bytes, claim: Claim, *, lease_live: bool
) -> None:
    verdict = decide(tables[0], data, claim=claim, lease_live=lease_live)
    assert isinstance(verdict, Verdict)
    assert verdict.action is not Action.MASK
    assert len(rewrite(tables[0], data, verdict, lease_live=lease_live)) == len(data)


@FIXED
@given(data=BYTES)
def test_the_guard_decides_anything_and_no_vmac_leaves(
    tables: tuple[FilterTable, ...], data: bytes
) -> None:
    verdict = guard(tables[0], data)
    assert verdict.action in {Action.PASS, Action.MASK, Action.DROP}
    sent = parse(mask(tables[0], data, verdict))
    if verdict.action is not Action.DROP and isinstance(sent, Frame):
        assert sent.source != tables[0].vmac
