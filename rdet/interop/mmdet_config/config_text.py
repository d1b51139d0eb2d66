"""Configs as text that is laid out as in rdet's own files."""

from collections.abc import Mapping
from typing import Any

_WIDTH = 120
_INDENT = 4


def config_text(values: Mapping[str, Any]) -> str:
    """Write assignments, one for each key: dicts as ``dict(...)``, in as few lines as fit."""
    return "".join(f"{key} = {_text(value, len(key) + 3, 0)}\n" for key, value in values.items())


def comment(text: str) -> str:
    """Write a text as lines of a comment, broken at spaces."""
    lines, line = [], "#"
    for word in text.split():
        if len(line) + 1 + len(word) > _WIDTH:
            lines.append(line)
            line = "#"
        line += f" {word}"
    return "\n".join([*lines, line]) + "\n"


def _text(value: Any, before: int, indent: int) -> str:
    """Write a value that stands behind ``before`` characters, and before one, in a line indented by ``indent``."""
    short = _in_a_line(value)
    if (
        before + len(short) + (1 if indent else 0) <= _WIDTH
        or not isinstance(value, Mapping | list | tuple)
        or not value
    ):
        return short
    deeper = indent + _INDENT
    margin = " " * deeper
    if isinstance(value, Mapping):
        named = _has_names(value)
        begin, end, join = ("dict(", ")", "=") if named else ("{", "}", ": ")
        lines = []
        for key, item in value.items():
            name = (key if named else _in_a_line(key)) + join
            lines.append(f"{margin}{name}{_text(item, deeper + len(name), deeper)},")
    else:
        begin, end = ("[", "]") if isinstance(value, list) else ("(", ")")
        lines = [f"{margin}{_text(item, deeper, deeper)}," for item in value]
    return "\n".join([begin, *lines, " " * indent + end])


def _in_a_line(value: Any) -> str:
    if isinstance(value, Mapping):
        if _has_names(value):
            return "dict(" + ", ".join(f"{key}={_in_a_line(item)}" for key, item in value.items()) + ")"
        return "{" + ", ".join(f"{_in_a_line(key)}: {_in_a_line(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_in_a_line, value)) + "]"
    if isinstance(value, tuple):
        return "(" + ", ".join(map(_in_a_line, value)) + ("," if len(value) == 1 else "") + ")"
    if isinstance(value, str):
        text = repr(value)
        return text if '"' in value else '"' + text[1:-1].replace("\\'", "'") + '"'
    if isinstance(value, float) and value == 1 / 3:
        return "1 / 3"
    return repr(value)


def _has_names(value: Mapping[Any, Any]) -> bool:
    return all(isinstance(key, str) and key.isidentifier() for key in value)
