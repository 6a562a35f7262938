# SPDX-License-Identifier: Apache-2.0
"""The scanner's lines, on documents of every form, against tomllib and against mutated keys."""

import tomllib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wlbs.config.lines import KeyPath, Lines

EVERY_FORM = '''\
# comment with [brackets] and "quotes
top = "a # no comment" # [not.a.table]
dotted . "ke.y" = 'lit\\'
"esc\\u0061pe\\t" = 1979-05-27T07:32:00Z

text = """
[[host]]
x = 1 \\""" ""
""""
after = 1
raw = \'\'\'
[rule]
\'\'\'\'
next = [ 1, [2,
  3], # ] not the end
  { a = "}", b = [
    4 ] },
]
[table.sub] # header
key = -1e3
[[host]]
name = "]"
[host.more]
deep = true
[[host]]
name = {}
[[host.inner]]
one = []
[[host.inner]]
two = 0x1F
'''


def test_every_form_of_toml_has_its_lines() -> None:
    tomllib.loads(EVERY_FORM)
    lines = Lines(EVERY_FORM)
    expected: dict[KeyPath, int] = {
        ("top",): 2,
        ("dotted", "ke.y"): 3,
        ("escape\t",): 4,
        ("text",): 6,
        ("after",): 10,
        ("raw",): 11,
        ("next",): 14,
        ("next", 0): 14,
        ("next", 1, 1): 15,
        ("next", 2): 16,
        ("next", 2, "a"): 16,
        ("next", 2, "b", 0): 17,
        ("table",): 19,
        ("table", "sub", "key"): 20,
        ("host", 0): 21,
        ("host", 0, "name"): 22,
        ("host", 0, "more", "deep"): 24,
        ("host", 1, "name"): 26,
        ("host", 1, "inner", 0, "one"): 28,
        ("host", 1, "inner", 1): 29,
        ("host", 1, "inner", 1, "two"): 30,
    }
    assert {path: lines.find(path) for path in expected} == expected


def test_what_is_not_in_the_file_has_the_line_of_what_is_around_it() -> None:
    lines = Lines(EVERY_FORM)
    assert lines.find(("host", 1, "priority")) == 25
    assert lines.find(("nowhere",)) == 1
    assert lines.find(()) == 1


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_either_end_of_line_counts_once(end: str) -> None:
    text = end.join(("a = 1", "# two", 'b = """', '"""', "c = [", "1]", ""))
    lines = Lines(text)
    assert [lines.find((key,)) for key in "abc"] == [1, 3, 5]


WORDS = st.text(alphabet="ab#[]{}=,'.\" \\\té", max_size=6)
NOISE = st.sampled_from(["", "\n", "# a = [\n", "\n\n# '''\n"])


@st.composite
def written_values(draw: st.DrawFn, depth: int = 0) -> str:
    """Return some value as TOML text, over several lines where TOML allows it."""
    kind = draw(st.sampled_from(("basic", "literal", "long", "number", "array", "table")))
    word = draw(WORDS)
    basic = '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if kind == "literal" and "'" not in word:
        return f"'{word}'"
    if kind == "long":
        return f'""\n{basic}\n""' if "\\" not in basic else f'""{basic}""'
    if kind == "number":
        return draw(st.sampled_from(("1", "-2.5e3", "true", "0xff", "07:32:00", "inf")))
    if kind == "array" and depth < 2:
        parts = draw(st.lists(written_values(depth + 1), max_size=3))
        return "[" + "".join(f"{draw(NOISE)}{part}{draw(NOISE)}," for part in parts) + "\n]"
    if kind == "table" and depth < 2:
        parts = draw(st.lists(written_values(depth + 1), max_size=3))
        return "{" + ", ".join(f"k{number} = {part}" for number, part in enumerate(parts)) + "}"
    return basic


@given(st.lists(st.tuples(NOISE, written_values()), min_size=1, max_size=6), st.data())
def test_each_key_stands_where_changing_that_line_changes_it(
    pairs: list[tuple[str, str]], data: st.DataObject
) -> None:
    """The property behind every message: rename the key on its line, and the value moves."""
    heads = [data.draw(st.sampled_from(("", "[[t]]\n"))) for _ in pairs]
    text = "".join(
        f"{noise}{head}key{number} = {value}\n"
        for number, (head, (noise, value)) in enumerate(zip(heads, pairs, strict=True))
    )
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return  # a noise inside an inline table, which TOML 1.0 wants on one line
    lines = Lines(text)
    for path in paths(values):
        if isinstance(path[-1], str) and path[-1].startswith("key"):
            split = text.split("\n")
            at = lines.find(path) - 1
            split[at] = split[at].replace(path[-1], "mutated", 1)
            assert child(tomllib.loads("\n".join(split)), (*path[:-1], "mutated")) is not None


@given(st.lists(st.tuples(NOISE, written_values()), min_size=1, max_size=6))
def test_the_scanner_knows_the_paths_that_tomllib_knows(pairs: list[tuple[str, str]]) -> None:
    text = "".join(f"{noise}key{number} = {v}\n" for number, (noise, v) in enumerate(pairs))
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert set(Lines(text)._lines) == set(paths(values))


def paths(value: object, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Yield the path of everything below a value."""
    children: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        children = list(value.items())
    if isinstance(value, list):
        children = list(enumerate(value))
    for part, of in children:
        yield (*path, part)
        yield from paths(of, (*path, part))


def child(value: object, path: KeyPath) -> object:
    """Return the value at a path; None if there is none."""
    for part in path:
        if isinstance(value, dict) and isinstance(part, str):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int):
            value = value[part]
    return value
