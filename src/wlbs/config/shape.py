# SPDX-License-Identifier: Apache-2.0
"""From what the models refuse to problems in an operator's words.

Knows pydantic's kinds of error and where the models keep their examples. Knows nothing of what
must hold between keys (`checks`).
"""

import difflib
import json
import typing
from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from wlbs.config.document import ParsedDocument, show
from wlbs.config.lines import KeyPath
from wlbs.config.models import NAME_PATTERN, REFUSED, Document

_SECTIONS: Final[Mapping[KeyPath, tuple[str, str]]] = {
    ("cluster",): (
        "there is no [cluster] section",
        "add [cluster] with name, primary_ip, key_file",
    ),
    ("host",): ("there is no [[host]] section", "add one [[host]] section for each host"),
}
"""What the words are for a section that is missing or empty."""

_ARRAYS: Final = frozenset({"host", "rule"})


def check_shape(parsed: ParsedDocument) -> Document | None:
    """Hold the raw values against the models; None, and the problems noted, if they do not fit."""
    try:
        return Document.model_validate(parsed.values)
    except ValidationError as error:
        for details in error.errors(include_url=False):
            path: KeyPath = details["loc"]
            parsed.unsound.add(path)
            wrong, remedy = _words(path, details)
            parsed.refuse(path, wrong, remedy)
    return None


def nearest(word: str, known: tuple[str, ...]) -> str:
    """Return a remedy for a word that is none of the known ones."""
    similar = difflib.get_close_matches(word, known, n=1)
    if similar:
        return f'write "{similar[0]}"'
    return f"write one of {', '.join(known)}"


def _words(path: KeyPath, details: ErrorDetails) -> tuple[str, str]:
    """Return what is wrong and what to write."""
    kind = details["type"]
    if path in _SECTIONS and kind in {"missing", "too_short"}:
        return _SECTIONS[path]
    if kind == REFUSED:
        return str(details["ctx"]["wrong"]), str(details["ctx"]["remedy"])
    match kind:
        case "extra_forbidden":
            words = f"there is no key {show(path[-1])}", _known_key(path)
        case "missing":
            words = "the key is missing", f"add {_example(path)}"
        case "literal_error":
            wrong = f"{show(details['input'])} is none of the choices"
            words = wrong, nearest(str(details["input"]), _choices(path))
        case "list_type" | "model_type" | "dict_type":
            words = "this is not a section or list of the right kind", _structure(path)
        case _:
            words = _refused_value(details), f"write {_example(path)}"
    return words


def _refused_value(details: ErrorDetails) -> str:
    if details["type"] == "string_pattern_mismatch":
        pattern = details["ctx"]["pattern"]
        rule = (
            "letters, digits, dots, dashes and underscores, 63 at most"
            if pattern == NAME_PATTERN
            else "at most 15 characters, no blanks, colons or slashes"
        )
        return f"{show(details['input'])} is no name: {rule}"
    message = details["msg"].removeprefix("Input ").removeprefix("String ")
    return f"{show(details['input'])} {message}"


def _structure(path: KeyPath) -> str:
    if path[0] in _ARRAYS and len(path) <= len((path[0], 0)):
        return f"write [[{path[0]}]], with two brackets, above each {path[0]}'s keys"
    if path == ("cluster",):
        return "write [cluster] above the cluster's keys"
    return f"write {_example(path)}"


def _known_key(path: KeyPath) -> str:
    model = _model(path[:-1])
    known = tuple(model.model_fields)
    similar = difflib.get_close_matches(str(path[-1]), known, n=1)
    if similar:
        return f"write {similar[0]}"
    return f"remove it; the keys here are {', '.join(known)}"


def _example(path: KeyPath) -> str:
    """Return the example of the field that a path leads to or into, as one writes it in TOML."""
    for size in range(len(path), 0, -1):
        key = path[size - 1]
        field = _field(path[:size]) if isinstance(key, str) else None
        if field is not None and field.examples:
            return (
                f"{key} = {_write_toml(field.examples[0])} ({str(field.description).rstrip('.')})"
            )
    return f"what `wlbs schema` says of {path[-1]}"


def _write_toml(value: object) -> str:
    """Return an example's value as TOML: a string, a number, an array or an inline table."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_write_toml(of)}" for key, of in value.items()) + " }"
    return json.dumps(value)


def _choices(path: KeyPath) -> tuple[str, ...]:
    # The choices of an element are its list's.
    field = _field(path[:-1] if isinstance(path[-1], int) else path)
    assert field is not None, f"a choice without a field at {path}"
    return tuple(_literals(field.annotation))


def _literals(annotation: object) -> list[str]:
    if typing.get_origin(annotation) is typing.Literal:
        return list(typing.get_args(annotation))
    return [word for of in typing.get_args(annotation) for word in _literals(of)]


def _field(path: KeyPath) -> FieldInfo | None:
    return _model(path[:-1]).model_fields.get(str(path[-1]))


def _model(path: KeyPath) -> type[BaseModel]:
    """Return the model of the section that a path leads to or into."""
    model: type[BaseModel] = Document
    for key in path:
        field = model.model_fields.get(str(key))
        model = (_section(field.annotation) if field is not None else None) or model
    return model


def _section(annotation: object) -> type[BaseModel] | None:
    """Return the model of a field's type, or of the elements of its list."""
    if typing.get_origin(annotation) is list:
        return _section(typing.get_args(annotation)[0])
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return None
