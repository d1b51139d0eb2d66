"""The boxes of a COCO file, as columns: one set of rules for the reader and for the evaluation."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from rdet.coco_json import MOST, column, kinds_of
from rdet.errors import DatasetError
from rdet.faults import Faults
from rdet.messages import shown

LARGEST_AREA = 1e5**2  # COCO's evaluation counts no box of a larger one
EntryName = Callable[[int], str]


@dataclass(frozen=True)
class CocoBoxes:
    """What the annotations of a file say, B of them.

    Attributes:
        bboxes: x, y, width, height in pixels (B, 4) float64.
        image_index: Row of the image of each (B,) int64.
        class_index: Row of the category of each (B,) int64.
        areas: Square pixels (B,) float64; the box's where none is stated.
        crowds: Whether it is a crowd (B,) bool.
        replaced: Rows whose stated area COCO's evaluation could not use; they have the box's.
    """

    bboxes: np.ndarray
    image_index: np.ndarray
    class_index: np.ndarray
    areas: np.ndarray
    crowds: np.ndarray
    replaced: list[int]

    @classmethod
    def of(
        cls,
        rows: list[dict[str, Any]],
        image_ids: Sequence[Any],
        category_ids: Sequence[Any],
        entry: EntryName,
        where: str,
    ) -> "CocoBoxes":
        """Read annotations.

        Args:
            rows: Of the file's list.
            image_ids, category_ids: Of the other lists.
            entry: Names the i-th annotation.
            where: The file, for messages.

        Raises:
            DatasetError: Annotations cannot be used; all are named, the first ones with what is wrong.
        """
        faults = Faults(where, "annotations", len(rows))
        boxes = bboxes(rows, entry, where, faults)
        images = _references(rows, "image_id", image_ids, entry, where, faults)
        classes = _references(rows, "category_id", category_ids, entry, where, faults)
        areas, replaced = _areas(rows, boxes, entry, where, faults)
        crowds = _crowds(rows, entry, where, faults)
        faults.raise_any()
        return cls(boxes, images, classes, areas, crowds, replaced)


def is_area(value: float | None) -> bool:
    """Tell whether COCO's evaluation counts a box of this area."""
    return value is not None and 0 <= value <= LARGEST_AREA


def _references(
    rows: list[dict[str, Any]], key: str, ids: Sequence[Any], entry: EntryName, where: str, faults: Faults
) -> np.ndarray:
    """Return where the images (``image_id``) or categories (``category_id``) of annotations stand, (B,) int64."""
    values = column(rows, "annotations", key, where, faults)
    found = _positions(values, ids)
    if None in found:
        what = "image" if key == "image_id" else "category"
        by_text = {str(known): known for known in ids}
        for row, place in enumerate(found):
            if place is None and _has(rows[row], key):
                other = by_text.get(str(values[row]))
                near = f" (but {shown(other)})" if other is not None and type(values[row]) is not bool else ""
                faults.add(
                    entry(row),
                    DatasetError(
                        f"{where}: {entry(row)} refers to the {what} {shown(values[row])}, which the file does not have"
                        f"{near}; add the {what} or remove the annotation"
                    ),
                )
    return np.array([place or 0 for place in found], dtype=np.int64)


def _positions(values: Sequence[Any], of: Sequence[Any]) -> list[int | None]:
    """Return where each value stands in ``of``; None where it does not, or is True or False."""
    position = {value: i for i, value in enumerate(of)}
    kinds = kinds_of(values)
    if kinds <= {int, str}:
        return list(map(position.get, values))
    return [position.get(value) if type(value) in (int, float, str) else None for value in values]


def bboxes(rows: list[dict[str, Any]], entry: EntryName, where: str, faults: Faults | None = None) -> np.ndarray:
    """Return x, y, width and height of entries, (B, 4) float64.

    Args:
        rows: That have a ``bbox``.
        entry: Names the i-th of them.
        where: The file, for messages.
        faults: Collects what is wrong; None: it is raised.
    """
    if faults is None:
        faults = Faults(where, "boxes", len(rows))
        found = bboxes(rows, entry, where, faults)
        faults.raise_any()
        return found
    values = column(rows, "annotations", "bbox", where, faults)
    if not values:
        return np.zeros((0, 4))
    if kinds_of(values) == {list} and kinds_of(chain.from_iterable(values)) <= {int, float}:
        try:
            found = np.array(values, dtype=np.float64)
            if found.shape[1:] == (4,) and (np.abs(found) <= MOST).all():
                return found
        except (ValueError, OverflowError):  # of unequal lengths, or whole numbers beyond float
            pass
    for i, value in enumerate(values):
        if _has(rows[i], "bbox") and not _is_bbox(value):
            faults.add(
                entry(i),
                DatasetError(
                    f"{where}: {entry(i)} has the bbox {shown(value)}; it must be four finite numbers of at most "
                    f"{MOST}: x, y, width, height"
                ),
            )
    return np.array([value if _is_bbox(value) else [0.0] * 4 for value in values], dtype=np.float64)


def _has(row: Any, key: str) -> bool:
    return isinstance(row, dict) and key in row  # of another kind it is a fault, which `column` has noted


def _stated(rows: list[Any], key: str) -> list[Any]:
    """Return what entries state, or None."""
    return [row.get(key) if isinstance(row, dict) else None for row in rows]


def _is_bbox(value: Any) -> bool:
    return (
        isinstance(value, list) and len(value) == 4 and all(type(v) in (int, float) and abs(v) <= MOST for v in value)
    )


def _crowds(rows: list[dict[str, Any]], entry: EntryName, where: str, faults: Faults) -> np.ndarray:
    """Return which annotations are crowds, (B,) bool; None and nothing at all mean no, False and True are 0 and 1."""
    stated = _stated(rows, "iscrowd")
    for i, value in enumerate(stated):
        if value not in (0, 1, None):
            message = f"{where}: {entry(i)} has the iscrowd {shown(value)}; it must be 0 or 1"
            faults.add(entry(i), DatasetError(message))
    return np.array([value in (1,) for value in stated], dtype=bool)


def _areas(
    rows: list[dict[str, Any]], boxes: np.ndarray, entry: EntryName, where: str, faults: Faults
) -> tuple[np.ndarray, list[int]]:
    """Return the areas that annotations state, (B,) float64, and the rows of those that are not usable.

    COCO's evaluation counts no box whose area is negative, infinite or not a number: such an area is replaced by the
    box's, as one is that is not stated.
    """
    stated = _stated(rows, "area")
    for i, value in enumerate(stated):
        if value is not None and type(value) not in (int, float):
            message = f"{where}: {entry(i)} has the area {shown(value)}; it must be a number"
            faults.add(entry(i), DatasetError(message))
            stated[i] = None
    replaced = [i for i, value in enumerate(stated) if value is not None and not is_area(value)]
    found = np.array([value if is_area(value) else math.nan for value in stated], dtype=np.float64)
    return np.where(np.isnan(found), np.minimum(boxes[:, 2] * boxes[:, 3], LARGEST_AREA), found), replaced
