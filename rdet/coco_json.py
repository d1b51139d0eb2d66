"""COCO's json format, read from a file that anyone may have written.

The functions return columns, one value for each entry of a list. Each raises :class:`~rdet.errors.DatasetError` that
names file and entry.
"""

import difflib
import json
import math
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any

import numpy as np

from rdet.errors import DatasetError
from rdet.messages import shown

MOST = 2**31  # pixels; no image is wider, so such a coordinate is a mistake
LARGEST_AREA = 1e5**2  # COCO's evaluation counts no box of a larger one
# What the entries of each list have at least.
_ENTRIES = {
    "images": {"id", "file_name"},
    "categories": {"id", "name"},
    "annotations": {"image_id", "category_id", "bbox"},
}
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
                raise DatasetError(f"{where} has no {key!r}, but {shown(other)}; call it {key!r} if it is that")
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


def _near(content: Any, key: str) -> str | None:
    """Return the key of a list that is nearly called so."""
    rows = content.items() if isinstance(content, dict) else ()
    lists = [other for other, value in rows if isinstance(value, list) and other not in _ENTRIES]
    return next(iter(difflib.get_close_matches(key, lists, n=1, cutoff=0.7)), None)


def column(rows: list[dict[str, Any]], table: str, key: str, where: str) -> list[Any]:
    """Return the value of ``key`` of each row."""
    try:
        return [row[key] for row in rows]
    except (KeyError, TypeError, IndexError):
        for i, row in enumerate(rows):
            if not isinstance(row, dict):
                raise DatasetError(
                    f"{where}: {table}[{i}] is no object but {shown(row)}; write an object or drop it"
                ) from None
            if key not in row:
                like = difflib.get_close_matches(key, filter(lambda k: isinstance(k, str), row), n=1, cutoff=0.7)
                but = f", but has {like[0]!r}" if like else ""
                raise DatasetError(f"{where}: {table}[{i}] lacks {key!r}{but}; add it or drop the entry") from None
        raise


def ids(rows: list[dict[str, Any]], table: str, where: str, kinds: tuple[type, ...] = (int,)) -> list[Any]:
    """Return the ids of the rows: all of one of ``kinds``, each once. Of ``1.0``, which pandas writes, a 1 is made."""
    values = column(rows, table, "id", where)
    if float in kinds_of(values):
        values = [whole(value) for value in values]
        for row, value in zip(rows, values, strict=True):
            row["id"] = value
    kind = next((kind for kind in kinds if values and type(values[0]) is kind), kinds[0])
    for i, value in enumerate(values):
        if type(value) is not kind or (isinstance(value, int) and abs(value) > _LONGEST_ID):
            of = "use a whole number" if kind is int else "use strings for all ids, or whole numbers"
            raise DatasetError(f"{where}: {table}[{i}] has the id {shown(value)}; {of}{_below(value)}")
    if len(set(values)) < len(values):
        first: dict[Any, int] = {}
        i = next(i for i, value in enumerate(values) if first.setdefault(value, i) != i)
        raise DatasetError(
            f"{where}: {table}[{first[values[i]]}] and {table}[{i}] have the same id {shown(values[i])}; "
            "renumber them or remove one"
        )
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
    for category, name in zip(categories, found, strict=True):
        if not isinstance(name, str) or not name.strip() or not is_text(name):
            raise DatasetError(
                f"{where}: category {shown(category['id'])} has the name {shown(name)}; it must be a text"
            )
    return found


def references(
    rows: list[dict[str, Any]], key: str, ids: Sequence[Any], entry: Callable[[int], str], where: str
) -> np.ndarray:
    """Return where the images (``image_id``) or categories (``category_id``) of annotations stand, (B,) int64."""
    values = column(rows, "annotations", key, where)
    found = positions(values, ids)
    if None in found:
        row = found.index(None)
        what = "image" if key == "image_id" else "category"
        raise DatasetError(
            f"{where}: {entry(row)} refers to the {what} {shown(values[row])}, which the file does not have; add the "
            f"{what} or remove the annotation"
        )
    return np.array(found, dtype=np.int64)


def is_text(text: str) -> bool:
    """Tell whether a string can be written at all: json may hold halves of characters, ``\\ud800``."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def bboxes(rows: list[dict[str, Any]], entry: Callable[[int], str], where: str) -> np.ndarray:
    """Return x, y, width and height of annotations, (B, 4) float64; ``entry`` names the i-th of them."""
    values = column(rows, "annotations", "bbox", where)
    if not values:
        return np.zeros((0, 4))
    if kinds_of(values) == {list} and kinds_of(chain.from_iterable(values)) <= {int, float}:
        try:
            found = np.array(values, dtype=np.float64)
            if found.shape[1:] == (4,) and (np.abs(found) <= MOST).all():
                return found
        except (ValueError, OverflowError):  # of unequal lengths, or whole numbers beyond float
            pass
    i = next(i for i, value in enumerate(values) if not _is_bbox(value))
    raise DatasetError(
        f"{where}: {entry(i)} has the bbox {shown(values[i])}; it must be four finite numbers of at most {MOST}: "
        "x, y, width, height"
    )


def _is_bbox(value: Any) -> bool:
    return (
        isinstance(value, list) and len(value) == 4 and all(type(v) in (int, float) and abs(v) <= MOST for v in value)
    )


def crowds(rows: list[dict[str, Any]], entry: Callable[[int], str], where: str) -> np.ndarray:
    """Return which annotations are crowds, (B,) bool; None and nothing at all mean no, False and True are 0 and 1."""
    stated = [row.get("iscrowd") for row in rows]
    for i, value in enumerate(stated):
        if value not in (0, 1, None):
            raise DatasetError(f"{where}: {entry(i)} has the iscrowd {shown(value)}; it must be 0 or 1")
    return np.array(stated, dtype=bool)


def areas(
    rows: list[dict[str, Any]], boxes: np.ndarray, entry: Callable[[int], str], where: str
) -> tuple[np.ndarray, list[int]]:
    """Return the areas that annotations state, (B,) float64, and the rows of those that are not usable.

    COCO's evaluation counts no box whose area is negative, infinite or not a number: such an area is replaced by the
    box's, as one is that is not stated.
    """
    stated = [row.get("area") for row in rows]
    for i, value in enumerate(stated):
        if value is not None and type(value) not in (int, float):
            raise DatasetError(f"{where}: {entry(i)} has the area {shown(value)}; it must be a number")
    replaced = [i for i, value in enumerate(stated) if value is not None and not is_area(value)]
    found = np.array([value if is_area(value) else math.nan for value in stated], dtype=np.float64)
    return np.where(np.isnan(found), np.minimum(boxes[:, 2] * boxes[:, 3], LARGEST_AREA), found), replaced


def is_area(value: float | None) -> bool:
    """Tell whether COCO's evaluation counts a box of this area."""
    return value is not None and 0 <= value <= LARGEST_AREA


def positions(values: Sequence[Any], of: Sequence[Any]) -> list[int | None]:
    """Return where each value stands in ``of``; None where it does not, or is True or False."""
    position = {value: i for i, value in enumerate(of)}
    kinds = kinds_of(values)
    if kinds <= {int, str}:
        return list(map(position.get, values))
    return [position.get(value) if type(value) in (int, float, str) else None for value in values]
