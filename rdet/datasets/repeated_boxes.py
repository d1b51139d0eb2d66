"""Boxes that are there twice.

G boxes of an image.
"""

from typing import Any

import numpy as np

_SAME = 0.95  # IoU above which two boxes of a class are one that was drawn twice


def repeated_boxes(record: dict[str, Any]) -> np.ndarray:
    """Find the boxes of an image that repeat an earlier one of their class.

    Args:
        record: ``gt_bboxes`` (G, 4) xyxy, ``gt_bboxes_labels`` (G,) and ``gt_ignore_flags`` (G,).

    Returns:
        Their indices.
    """
    boxes, labels = record["gt_bboxes"].astype(np.float64), record["gt_bboxes_labels"]
    kept = np.flatnonzero(~record["gt_ignore_flags"])
    boxes, labels = boxes[kept], labels[kept]
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    common = (high - low).clip(0).prod(axis=2)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    union = areas[:, None] + areas[None] - common
    same = (common >= _SAME * union) & (labels[:, None] == labels[None])
    repeats: np.ndarray = kept[np.tril(same, -1).any(axis=1)]
    return repeats
