"""The boxes of results that have masks."""

import math
from typing import Any

import numpy as np

from rdet.errors import ResultsError
from rdet.messages import shown

_MOST = 2**16  # pixels of a side of a mask


def with_boxes(entries: list[dict[str, Any]], where: str) -> tuple[list[dict[str, Any]], bool]:
    """Give each entry that has a mask and no box the box around the mask.

    Args:
        entries: Of a results file.
        where: The file, for messages.

    Returns:
        The entries, and whether one of them got a box.

    Raises:
        ResultsError: An entry has neither a box nor a mask that can be read.
    """
    found = [_boxed(entry, i, where) for i, entry in enumerate(entries)]
    return found, any(new is not old for new, old in zip(found, entries, strict=True))


def _boxed(entry: dict[str, Any], row: int, where: str) -> dict[str, Any]:
    if "bbox" in entry or not entry.get("segmentation"):
        return entry
    mask = entry["segmentation"]
    box = _box_of_runs(mask) if isinstance(mask, dict) else _box_of_polygons(mask)
    if box is None:
        raise ResultsError(
            f"{where}: results[{row}] has no bbox, and its segmentation {shown(mask)} is neither polygons nor a mask "
            "of COCO; give it a bbox"
        )
    return {**entry, "bbox": box}


def _box_of_polygons(mask: Any) -> list[float] | None:
    """Return the box around polygons, each a list x, y, x, y ...; None where they are none."""
    polygons = mask if isinstance(mask, list) else []
    if not all(isinstance(polygon, list) and len(polygon) % 2 == 0 for polygon in polygons):
        return None
    values = [value for polygon in polygons for value in polygon]
    if not values or not all(type(value) in (int, float) and math.isfinite(value) for value in values):
        return None
    points = np.array(values, dtype=np.float64).reshape(-1, 2)
    return [*points.min(0).tolist(), *np.ptp(points, axis=0).tolist()]


def _box_of_runs(mask: dict[str, Any]) -> list[float] | None:
    """Return the box around a mask of run lengths, compressed or as numbers; None where it is none."""
    from pycocotools import mask as masks

    size, counts = mask.get("size"), mask.get("counts")
    if not (isinstance(size, list) and len(size) == 2 and all(type(v) is int and 0 < v <= _MOST for v in size)):
        return None
    try:
        if isinstance(counts, list):
            if not all(type(run) is int and run >= 0 for run in counts) or sum(counts) != math.prod(size):
                return None
            mask = masks.frPyObjects(mask, *size)
        elif not isinstance(counts, str) or not counts.isascii():
            return None
        box = masks.toBbox(mask).tolist()
    except (TypeError, ValueError):
        return None
    inside = box[0] + box[2] <= size[1] and box[1] + box[3] <= size[0]
    return box if inside else None
