"""COCO's json format, read from a file that anyone may have written.

Here are the file, its lists, and the columns of images and categories; those of annotations are in
:mod:`rdet.coco_boxes`. Each function raises :class:`~rdet.errors.DatasetError` that names the file and the entries.
"""

import difflib
import json
from collections.abc import Iterable
from typing import Any

from rdet.errors import DatasetError
from rdet.faults import Faults
from rdet.messages import shown

MOST = 2**31  # pixels; no image is wider, so such a coordinate is a mistake
# What the entries of each list have at least.
_ENTRIES = {
    "images": {"id", "file_name"},
    "categories": {"id", "name"},
    "annotations": {"image_id", "category_id", "bbox"},
}
# What tools call a key, where it is not told by a likeness.
_CALLED = {"bbox": ("bndbox", "box", "rect", "bounding_box"), "file_name": ("filename", "image", "path", "name")}
_LONGEST_ID = 2**53  # ids are handed on as floating-point numbers, too


def parse(text: bytes, where: str) -> Any:
    """Read json, in which each key of an object stands once."""
    if not text.strip():
        raise DatasetError(f"{where} is empty; write it again")
    try:
        return json.loads(text, object_pairs_hook=lambda pairs: _as_dict(pairs, where))
    except ValueError as error:  # also of bytes that are not UTF-8
        if isinstance(error, DatasetError):
            raise
        raise DatasetError(f"{where} is not JSON ({error}); write it again") from error
    except RecursionError as error:
        raise DatasetError(f"{where} is nested too deeply for a COCO file; write it again") from error


def _as_dict(pairs: list[tuple[str, Any]], where: str) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise DatasetError(f"{where}: an object has the key {shown(twice)} more than once; leave one")
    return content


def lists(content: Any, keys: Iterable[str], optional: Iterable[str], where: str) -> dict[str, list[Any]]:
    """Take the lists of a COCO file; those that are optional may be missing, and are empty then."""
    renamed = called_otherwise(content, (*keys, *optional))
    content = {**content, **{key: content[other] for key, other in renamed.items()}} if renamed else content
    for key in (*keys, *optional):
        if not isinstance(content, dict) or key not in content:
            if other := _near(content, key):
                lacking = next(iter(_lacking(content[other][0], key)), "") if content[other] else ""
                raise DatasetError(
                    f"{where} has no {key!r}, but {shown(other)}{lacking}; call it {key!r} if it is that"
                )
            if key in keys:
                hint = "set test_mode=True to load images alone" if key == "annotations" else "give a COCO file"
                raise DatasetError(f"{where} has no {key!r}; {hint}")
    found = {key: content.get(key, []) for key in (*keys, *optional)}
    for key, value in found.items():
        if not isinstance(value, list):
            raise DatasetError(f"{where}: {key!r} is not a list but {shown(value)}; write a list of objects")
    return found


def called_otherwise(content: Any, keys: Iterable[str]) -> dict[str, str]:
    """Find lists that have another key, told by what all of their entries have: key -> what it is called.

    A list that could be several, or several that could be one, are none.
    """
    if not isinstance(content, dict):
        return {}
    others = [key for key in content if key not in _ENTRIES]
    found = {}
    for key in keys:
        fitting = [other for other in others if _has_entries(content[other], _ENTRIES[key])]
        if key not in content and len(fitting) == 1:
            found[key] = fitting[0]
    return found if len(set(found.values())) == len(found) else {}


def _has_entries(value: Any, needed: set[str]) -> bool:
    if not isinstance(value, list) or not value:
        return False
    return all(isinstance(row, dict) and needed <= row.keys() for row in value)


def _lacking(row: Any, table: str) -> Iterable[str]:
    """Say which keys the entries of a list lack, and what they have in their place."""
    for key in sorted(_ENTRIES[table] - row.keys()) if isinstance(row, dict) else ():
        name = next((name for name in _CALLED.get(key, ()) if name in row), None)
        yield f" whose entries lack {key!r}" + (f" but have {name!r}" if name else "")


def _near(content: Any, key: str) -> str | None:
    """Return the key of a list that is nearly called so, or whose entries have most of what it needs."""
    rows = content if isinstance(content, dict) else {}
    lists = [other for other, value in rows.items() if isinstance(value, list) and other not in _ENTRIES]
    close = difflib.get_close_matches(key, lists, n=1, cutoff=0.7)
    needed = _ENTRIES[key]
    alike = [name for name in lists if _has_entries(rows[name][:1], needed - {"bbox", "name", "file_name"})]
    return next(iter(close or alike), None)


def column(rows: list[dict[str, Any]], table: str, key: str, where: str, faults: Faults | None = None) -> list[Any]:
    """Return the value of ``key`` of each row.

    Args:
        rows: Of a list of the file.
        table: What the list is called.
        key: The key.
        where: The file, for messages.
        faults: Collects what is wrong, and None stands for a value that is not there. None: it is raised.
    """
    try:
        return [row[key] for row in rows]
    except (KeyError, TypeError, IndexError):
        mine = Faults(where, table, len(rows)) if faults is None else faults
        for i, row in enumerate(rows):
            if not isinstance(row, dict):
                message = f"{where}: {table}[{i}] is no object but {shown(row)}; write an object or drop it"
                mine.add(f"{table}[{i}]", DatasetError(message))
            elif key not in row:
                message = f"{where}: {table}[{i}] lacks {key!r}{_but(key, row)}"
                mine.add(f"{table}[{i}]", DatasetError(message))
        if faults is None:
            mine.raise_any()
        return [row.get(key) if isinstance(row, dict) else None for row in rows]


def _but(key: str, row: dict[str, Any]) -> str:
    """Say what a row has in place of a key, and what to do."""
    like = difflib.get_close_matches(key, filter(lambda k: isinstance(k, str), row), n=1, cutoff=0.7)
    other = like or [name for name in _CALLED.get(key, ()) if name in row]
    if not other:
        return "; add it or drop the entry"
    is_that = f"; call it {key!r} if it is " + ("x, y, width, height" if key == "bbox" else "that")
    return f", but has {other[0]!r}{is_that}"


def ids(rows: list[dict[str, Any]], table: str, where: str, kinds: tuple[type, ...] = (int,)) -> list[Any]:
    """Return the ids of the rows: all of one of ``kinds``, each once. Of ``1.0``, which pandas writes, a 1 is made."""
    values = column(rows, table, "id", where)
    if float in kinds_of(values):
        values = [whole(value) for value in values]
        for row, value in zip(rows, values, strict=True):
            row["id"] = value
    kind = next((kind for kind in kinds if values and type(values[0]) is kind), kinds[0])
    faults = Faults(where, table, len(rows))
    for i, value in enumerate(values):
        if type(value) is not kind or (isinstance(value, int) and abs(value) > _LONGEST_ID):
            of = "use a whole number" if kind is int else "use strings for all ids, or whole numbers"
            message = f"{where}: {table}[{i}] has the id {shown(value)}; {of}{_below(value)}"
            faults.add(f"{table}[{i}]", DatasetError(message))
    faults.raise_any()
    if len(set(values)) < len(values):
        first: dict[Any, int] = {}
        for i, value in enumerate(values):
            if (before := first.setdefault(value, i)) != i:
                message = f"{where}: {table}[{before}] and {table}[{i}] have the same id {shown(value)}"
                faults.add(f"{table}[{i}]", DatasetError(f"{message}; renumber them or remove one"))
        faults.raise_any()
    return values


def kinds_of(values: Iterable[Any]) -> set[type]:
    """Return the types of values."""
    return set(map(type, values))


def whole(value: Any) -> Any:
    """Return a whole number that is written as ``1.0`` as an int, and all else as it is."""
    return int(value) if type(value) is float and value.is_integer() else value


def _below(value: Any) -> str:
    return f" of at most {_LONGEST_ID}" if type(value) is int else ""


def names(categories: list[dict[str, Any]], where: str) -> list[str]:
    """Return the names of categories."""
    found = column(categories, "categories", "name", where)
    faults = Faults(where, "categories", len(found))
    for category, name in zip(categories, found, strict=True):
        if not isinstance(name, str) or not name.strip() or not is_text(name):
            entry = f"category {shown(category['id'])}"
            faults.add(entry, DatasetError(f"{where}: {entry} has the name {shown(name)}; it must be a text"))
    faults.raise_any()
    return found


def is_text(text: str) -> bool:
    """Tell whether a string can be written at all: json may hold halves of characters, ``\\ud800``."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
