"""Files of numbers that former runs left."""

import json
import math
from pathlib import Path
from typing import Any

from rdet.errors import ResultsError
from rdet.messages import in_one_line


def read_results(path: Path, shape: Any, remedy: str) -> Any:
    """Read a json file and check what it holds.

    Args:
        path: The file.
        shape: See :func:`parse_results`.
        remedy: What to do if it holds something else.

    Raises:
        ResultsError: It does, is damaged, or is no json at all.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ResultsError(f"{path} is no text; {remedy}") from error
    return parse_results(text, shape, str(path), remedy)


def parse_results(text: str, shape: Any, source: str, remedy: str) -> Any:
    """Read json and check what it holds.

    Args:
        text: The json.
        shape: ``float`` for a finite number, ``int``, ``str`` or ``bool`` for those; ``[shape]`` for a list,
            ``{str: shape}`` for a dict with any keys, ``{"name": shape}`` for one with these keys and others.
        source: Where it stands, for the message.
        remedy: What to do if it is something else.

    Raises:
        ResultsError: It is.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise ResultsError(f"{source} is no json{where}; {remedy}") from error
    return check_entries(value, shape, source, remedy)


def check_entries(value: Any, shape: Any, source: str, remedy: str) -> Any:
    """Return what json held, if it is of a shape; for the arguments and the error see :func:`parse_results`."""
    wrong = _wrong_entry(value, shape, "")
    if wrong is not None:
        raise ResultsError(f"{source}: {wrong}; {remedy}")
    return value


def _wrong_entry(value: Any, shape: Any, where: str) -> str | None:
    """Name the first entry that is not as it must be, and say what it is."""
    kind = dict if isinstance(shape, dict) else list if isinstance(shape, list) else shape
    fits = isinstance(value, kind) or (kind is float and type(value) is int)
    if kind in (int, float):
        fits = fits and not isinstance(value, bool) and abs(value) < 1e300 and math.isfinite(value)
    if not fits:
        return f"{where or 'it'} is {in_one_line(repr(value), 40)}, no {_NAMES.get(kind, kind.__name__)}"
    if isinstance(shape, list):
        items = [(f"{where}[{index}]", item, shape[0]) for index, item in enumerate(value)]
    elif isinstance(shape, dict):
        wanted = dict.fromkeys(value, shape[str]) if str in shape else shape
        for key in wanted:
            if key not in value:
                return f"{where or 'it'} has no {key}"
        items = [(in_one_line(f"{where}.{key}" if where else key), value[key], inner) for key, inner in wanted.items()]
    else:
        items = []
    return next((found for item in items if (found := _wrong_entry(item[1], item[2], item[0]))), None)


_NAMES = {float: "finite number", int: "whole number", str: "text", dict: "dict of entries", list: "list"}
