"""All annotations of one file, as columns."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Annotations:
    """What a file says, before anything is selected, clipped or left out.

    M images, B boxes of all images together, C classes.

    Attributes:
        classes: Name of each class of the file (C); a name may occur more than once.
        category_ids: Id of each class (C); None if the format has none, then it is the label + 1.
        images: ``id``, ``file_name``, ``height`` and ``width`` in pixels of each image (M).
        box_ids: Id of each box (B,).
        image_index: Row of ``images`` of each box (B,) int64.
        class_index: Row of ``classes`` of each box (B,) int64.
        bboxes: x, y of the upper left corner, width, height in pixels (B, 4) float64.
        areas: Of each object, in square pixels (B,) float64.
        ignored: Whether a box is neither object nor background (B,) bool.
        entry_name: Says where the i-th box stands in the file, for messages.
    """

    classes: list[str]
    category_ids: list[int] | None
    images: list[dict]
    box_ids: list[int]
    image_index: np.ndarray
    class_index: np.ndarray
    bboxes: np.ndarray
    areas: np.ndarray
    ignored: np.ndarray
    entry_name: Callable[[int], str]
