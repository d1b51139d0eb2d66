"""Writes values as a person writes them in a config."""

import math
from typing import Any

_WIDTH = 110


class Raw(str):
    """An expression that is written as it is."""


def code(value: Any, indent: int = 0, before: int = 0) -> str:
    """Return the Python of a value; dicts as ``dict(key=value)``, in several lines where one is too long.

    Args:
        value: Of a config.
        indent: Spaces before the line.
        before: Characters before the value in its line.
    """
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, dict) and all(isinstance(key, str) and key.isidentifier() for key in value):
        parts, opening, closing = [(f"{key}=", item) for key, item in value.items()], "dict(", ")"
    elif isinstance(value, dict):
        parts, opening, closing = [(f"{key!r}: ", item) for key, item in value.items()], "{", "}"
    elif isinstance(value, list | tuple):
        parts = [("", item) for item in value]
        opening, closing = ("[", "]") if isinstance(value, list) else ("(", ",)" if len(value) == 1 else ")")
    else:
        return _scalar(value)
    line = opening + ", ".join(f"{name}{code(item, 0, -10_000)}" for name, item in parts) + closing
    if indent + before + len(line) <= _WIDTH or not parts:
        return line
    inner = indent + 4
    lines = "".join(f"{' ' * inner}{name}{code(item, inner, len(name))},\n" for name, item in parts)
    return f"{opening}\n{lines}{' ' * indent}{closing.removeprefix(',')}"


def _scalar(value: Any) -> str:
    text = repr(value)
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{text}")'
    quoted = isinstance(value, str) and text.startswith("'") and '"' not in text
    return f'"{text[1:-1]}"' if quoted and "\\'" not in text else text
