"""All annotations of one file, as columns."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

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

    def only(self, names: Collection[str]) -> "Annotations":
        """Return what the file says of the images with these names."""
        kept = [row for row, image in enumerate(self.images) if image["file_name"] in names]
        new_row = np.full(len(self.images), -1)
        new_row[kept] = np.arange(len(kept))
        boxes = np.flatnonzero(new_row[self.image_index] >= 0)
        return replace(
            self,
            images=[self.images[row] for row in kept],
            box_ids=[self.box_ids[row] for row in boxes],
            image_index=new_row[self.image_index[boxes]],
            class_index=self.class_index[boxes],
            bboxes=self.bboxes[boxes],
            areas=self.areas[boxes],
            ignored=self.ignored[boxes],
            entry_name=lambda row: self.entry_name(int(boxes[row])),
        )
