# SPDX-License-Identifier: Apache-2.0
"""The house rules that no linter knows, as tests; each is shown a sample that breaks it.

A rule is a function from a path and its text to complaints. The words say what to do instead.
"""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wlbs.core.reason import ACTION, MEANING, Reason

ROOT = Path(__file__).parents[2]
CODE = sorted(
    path
    for folder in ("src", "tests", "bench")
    for path in (ROOT / folder).rglob("*.py")
    if "__pycache__" not in path.parts
)

FUNCTION_LINES_MAX = 60
MODULE_LINES_MAX = 400
ROOT_ENTRIES_MAX = 18
FORBIDDEN_NAMES = {"utils", "util", "common", "helpers", "helper", "misc", "base", "manager"}
UNFINISHED = re.compile(r"\b(FIX" + "ME|XX" + r"X)\b")

Rule = Callable[[Path, str], Iterator[str]]


def functions_are_short(path: Path, text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                yield f"{path}: {node.name} has {lines} lines; split it where it changes subject"


def modules_are_short(path: Path, text: str) -> Iterator[str]:
    lines = len(text.splitlines())
    if lines > MODULE_LINES_MAX:
        yield f"{path}: {lines} lines; give one of its subjects a module of its own"


def modules_say_what_they_know(path: Path, text: str) -> Iterator[str]:
    if not ast.get_docstring(ast.parse(text)):
        yield f"{path}: say in a docstring what the module knows and what it does not"


def licence_comes_first(path: Path, text: str) -> Iterator[str]:
    if not text.startswith("# SPDX-License-Identifier: Apache-2.0\n"):
        yield f"{path}: begin with '# SPDX-License-Identifier: Apache-2.0'"


def names_say_what_is_inside(path: Path, text: str) -> Iterator[str]:
    del text
    if path.stem in FORBIDDEN_NAMES or path.parent.name in FORBIDDEN_NAMES:
        yield f"{path}: name the module after what it holds"


def nothing_is_left_unfinished(path: Path, text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), start=1):
        if UNFINISHED.search(line):
            yield f"{path}:{number}: mend it, or say in docs what is missing"


RULES: dict[Rule, tuple[str, str]] = {
    functions_are_short: ("a.py", "def f():\n" + "    pass\n" * FUNCTION_LINES_MAX),
    modules_are_short: ("a.py", "pass\n" * (MODULE_LINES_MAX + 1)),
    modules_say_what_they_know: ("a.py", "# only a comment\nx = 1\n"),
    licence_comes_first: ("a.py", '"""A module."""\n'),
    names_say_what_is_inside: ("src/wlbs/core/utils.py", ""),
    nothing_is_left_unfinished: ("a.py", "x = 1  # FIX" + "ME later\n"),
}
"""Each rule with a path and a text that break it."""


def untested_modules(modules: set[str], tests: set[str]) -> set[str]:
    return {module for module in modules if f"test_{module}" not in tests}


def unmapped_packages(packages: set[str], page: str) -> set[str]:
    return {package for package in packages if not re.search(rf"\b{package}\b", page)}


def unexplained(reasons: set[Reason], *tables: dict[Reason, object]) -> set[Reason]:
    return {reason for reason in reasons if not all(table.get(reason) for table in tables)}


def root_entries(root: Path) -> list[str]:
    """Return what a reader meets in the root: the tool's own folders are ignored by git."""
    ignored = {line.strip("/") for line in (root / ".gitignore").read_text().split()} | {".git"}
    return sorted(each.name for each in root.iterdir() if each.name not in ignored)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_code_keeps_the_rule(rule: Rule) -> None:
    complaints = [each for path in CODE for each in rule(path, path.read_text())]
    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_rule_speaks_when_it_is_broken(rule: Rule) -> None:
    path, text = RULES[rule]
    assert len(list(rule(Path(path), text))) == 1


def test_there_is_code_to_judge() -> None:
    assert len(CODE) > 40


def test_every_core_module_has_a_test_of_its_name() -> None:
    modules = {path.stem for path in (ROOT / "src/wlbs/core").glob("[a-z]*.py")}
    tests = {path.stem for path in (ROOT / "tests/core").glob("test_*.py")}
    assert not untested_modules(modules, tests)
    assert untested_modules({*modules, "forgotten"}, tests) == {"forgotten"}


def test_the_root_is_seen_at_a_glance(tmp_path: Path) -> None:
    assert len(root_entries(ROOT)) <= ROOT_ENTRIES_MAX, root_entries(ROOT)
    (tmp_path / ".gitignore").write_text("/ignored/\n")
    for name in ("ignored", *map(str, range(ROOT_ENTRIES_MAX))):
        (tmp_path / name).mkdir()
    assert len(root_entries(tmp_path)) == ROOT_ENTRIES_MAX + 1


def test_every_reason_has_an_action_and_words() -> None:
    words: dict[Reason, object] = dict(MEANING)
    known: dict[Reason, object] = {reason: str(action) for reason, action in ACTION.items()}
    assert not unexplained(set(Reason), known, words)
    del words[Reason.OWNER]
    assert unexplained(set(Reason), known, words) == {Reason.OWNER}


def test_every_package_is_on_the_map() -> None:
    packages = {path.parent.name for path in (ROOT / "src/wlbs").glob("*/__init__.py")}
    page = (ROOT / "ARCHITECTURE.md").read_text()
    assert not unmapped_packages(packages, page)
    assert unmapped_packages({*packages, "elsewhere"}, page) == {"elsewhere"}
