# SPDX-License-Identifier: Apache-2.0
"""The JSON schema says what the loader does: judged by a small validator of its own.

The validator knows only the keywords the schema uses and refuses any other, so that nothing in the
schema is believed without being checked.
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from wlbs.config.models import json_schema
from wlbs.config.shape import _write_toml

REPOSITORY: Final = Path(__file__).parents[2]
WORDS_ONLY: Final = frozenset({"description", "title", "examples", "default", "$defs"})
TYPES: Final[Mapping[str, type]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "boolean": bool,
    "null": type(None),
}


def fits(schema: object, value: object, root: Mapping[str, object]) -> bool:
    """Whether a value is as the schema says; an unknown keyword is a failure of the test."""
    assert isinstance(schema, dict)
    return all(
        keyword_holds(keyword, schema, value, root)
        for keyword in schema
        if keyword not in WORDS_ONLY
    )


def keyword_holds(
    keyword: str, schema: Mapping[str, object], value: object, root: Mapping[str, object]
) -> bool:
    wanted = schema[keyword]
    if isinstance(wanted, str) and keyword in {"$ref", "type", "pattern"}:
        return text_keyword_holds(keyword, wanted, value, root)
    if isinstance(wanted, int) and keyword in LIMITS:
        return LIMITS[keyword](value, wanted)
    if keyword in {"required", "properties", "additionalProperties"}:
        return not isinstance(value, dict) or table_keyword_holds(keyword, schema, value, root)
    if keyword == "items":
        return not isinstance(value, list) or all(fits(wanted, item, root) for item in value)
    if keyword == "const":
        return value == wanted
    assert isinstance(wanted, list), f"the validator does not know {keyword}"
    assert keyword in {"enum", "anyOf"}, f"the validator does not know {keyword}"
    return value in wanted or any(fits(of, value, root) for of in wanted if keyword == "anyOf")


def table_keyword_holds(
    keyword: str,
    schema: Mapping[str, object],
    value: Mapping[str, object],
    root: Mapping[str, object],
) -> bool:
    wanted = schema[keyword]
    known = schema.get("properties", {})
    assert isinstance(known, dict)
    if isinstance(wanted, list):
        return set(wanted) <= set(value)
    if keyword == "properties":
        return all(fits(of, value[key], root) for key, of in known.items() if key in value)
    rest = [of for key, of in value.items() if key not in known]
    return not rest if wanted is False else all(fits(wanted, of, root) for of in rest)


def text_keyword_holds(
    keyword: str, wanted: str, value: object, root: Mapping[str, object]
) -> bool:
    if keyword == "$ref":
        definitions = root["$defs"]
        assert isinstance(definitions, dict)
        return fits(definitions[wanted.removeprefix("#/$defs/")], value, root)
    if keyword == "type":
        is_boolean = isinstance(value, bool)
        return isinstance(value, TYPES[wanted]) and is_boolean == (wanted == "boolean")
    return not isinstance(value, str) or re.search(wanted, value) is not None


LIMITS: Final = {
    "minimum": lambda value, wanted: not isinstance(value, int) or value >= wanted,
    "maximum": lambda value, wanted: not isinstance(value, int) or value <= wanted,
    "minLength": lambda value, wanted: not isinstance(value, str) or len(value) >= wanted,
    "minItems": lambda value, wanted: not isinstance(value, list) or len(value) >= wanted,
}


def test_the_good_configuration_fits_the_schema(good: str) -> None:
    schema = json_schema()
    assert fits(schema, tomllib.loads(good), schema)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('name = "web"', 'name = "w b"'),
        ('name = "web"', 'nmae = "web"'),
        ('key_file = "web.key"', 'key_file = ""'),
        ('key_file = "web.key"', ""),
        ("priority = 2", "priority = 65"),
        ("priority = 2", "priority = true"),
        ('xdp = "generic"', 'xdp = "driver"'),
        ("ports = 80\n", "ports = 65536\n"),
        ("ports = 80\n", 'ports = "http"\n'),
        ('affinity = "none"', 'affinity = "both"'),
        ('affinity = "none"', 'mode = "single"'),
        ("h1 = 30", "h1 = 101"),
        ("[[rule]]", "[[rules]]"),
        ('  "10.0.0.102"', "  7"),
    ],
)
def test_what_the_schema_can_see_is_refused_by_it(good: str, before: str, after: str) -> None:
    schema = json_schema()
    bad = good.replace(before, after)
    assert bad != good
    assert not fits(schema, tomllib.loads(bad), schema)


def fields() -> list[tuple[str, str, Mapping[str, object]]]:
    """Return section, key and schema of every key there is."""
    definitions = json_schema()["$defs"]
    assert isinstance(definitions, dict)
    return [
        (section.removesuffix("Section").lower(), key, of)
        for section, definition in definitions.items()
        for key, of in definition["properties"].items()
    ]


@pytest.mark.parametrize("field", fields(), ids=lambda field: f"{field[0]}.{field[1]}")
def test_every_key_has_a_description_and_an_example_that_fits(
    field: tuple[str, str, Mapping[str, object]],
) -> None:
    _, key, schema = field
    examples = schema["examples"]
    assert isinstance(examples, list)
    assert schema["description"]
    written = tomllib.loads(f"{key} = {_write_toml(examples[0])}")[key]
    assert written == examples[0]
    assert fits(schema, written, json_schema())


@pytest.mark.parametrize("field", fields(), ids=lambda field: f"{field[0]}.{field[1]}")
def test_the_guide_explains_every_key(field: tuple[str, str, Mapping[str, object]]) -> None:
    section, key, _ = field
    guide = (REPOSITORY / "docs/guide/configure.md").read_text()
    _, _, after = guide.partition(
        "## `[cluster]`" if section == "cluster" else f"## `[[{section}]]`"
    )
    assert f"| `{key}` |" in after.partition("\n## ")[0]


def test_the_guide_shows_a_configuration_that_fits() -> None:
    guide = (REPOSITORY / "docs/guide/configure.md").read_text()
    (text,) = re.findall(r"```toml\n(.*?)```", guide, re.DOTALL)
    schema = json_schema()
    assert fits(schema, tomllib.loads(text), schema)
