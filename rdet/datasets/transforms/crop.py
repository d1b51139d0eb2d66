"""Cropping an image and its boxes."""

import math

import numpy as np
from mmcv.transforms import BaseTransform

from rdet.errors import ConfigError
from rdet.registry import TRANSFORMS
from rdet.schema import Count, NotNegative


@TRANSFORMS.register_module()
class RandomCrop(BaseTransform):
    """Cuts a window of ``crop_size`` out of the image; a side that is shorter stays whole.

    Boxes are shifted and clipped to the window. One that loses all its area goes, and so does one
    that was cut to less than ``min_side`` in width or height: such a sliver shows nothing of its object.
    Labels and ignore flags go with their boxes.

    Args:
        crop_size: Width and height of the window in pixels.
        allow_negative_crop: Whether a window without any box to learn will do. If not, and the
            image has one, another window is drawn around a box that is chosen at random.
        min_side: Least width and height in pixels of what is left of a box that was cut.
    """

    def __init__(self, crop_size: tuple[Count, Count], allow_negative_crop: bool = False, min_side: NotNegative = 1.0):
        if len(crop_size) != 2 or min(crop_size) < 1:
            raise ConfigError(f"RandomCrop: crop_size must be a width and a height in pixels, got {crop_size}")
        self.crop_size = tuple(crop_size)
        self.allow_negative_crop = allow_negative_crop
        self.min_side = min_side

    def transform(self, results: dict) -> dict:
        """Crop ``img`` and the boxes, and set ``img_shape``."""
        height, width = results["img"].shape[:2]
        window = min(self.crop_size[0], width), min(self.crop_size[1], height)
        room = width - window[0], height - window[1]
        left, top = (np.random.randint(r + 1) for r in room)
        if "gt_bboxes" in results:
            boxes = results["gt_bboxes"]
            wanted = ~results["gt_ignore_flags"]
            cropped, kept = crop_boxes(boxes, (left, top), window, self.min_side)
            if not self.allow_negative_crop and wanted.any() and not (kept & wanted).any():
                left, top = _offset_around(boxes[np.random.choice(np.flatnonzero(wanted))], window, room)
                cropped, kept = crop_boxes(boxes, (left, top), window, self.min_side)
            results["gt_bboxes"] = cropped[kept]
            for key in ("gt_bboxes_labels", "gt_ignore_flags"):
                results[key] = results[key][kept]
        results["img"] = np.ascontiguousarray(results["img"][top : top + window[1], left : left + window[0]])
        results["img_shape"] = results["img"].shape[:2]
        return results

    def __repr__(self) -> str:
        return f"RandomCrop(crop_size={self.crop_size}, allow_negative_crop={self.allow_negative_crop})"


def crop_boxes(
    boxes: np.ndarray, offset: tuple[int, int], window: tuple[int, int], min_side: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return the boxes (n, 4) as the window shows them, and which of them (n,) it keeps.

    A box goes if it has no area left, or was cut to less than ``min_side`` in width or height.
    """
    shifted = boxes - np.array([*offset, *offset], dtype=boxes.dtype)
    cropped = np.clip(shifted, 0, np.array([*window, *window], dtype=boxes.dtype))
    side = (cropped[:, 2:] - cropped[:, :2]).min(axis=1)
    cut = (cropped != shifted).any(axis=1)
    return cropped, (side > 0) & (~cut | (side >= min_side))


def _offset_around(box: np.ndarray, window: tuple[int, int], room: tuple[int, int]) -> tuple[int, int]:
    """Draw an offset of a window that lies around the box, or within it where the box is larger."""
    offset = []
    for axis in (0, 1):
        first, last = sorted((math.ceil(box[axis + 2]) - window[axis], math.floor(box[axis])))
        first, last = (min(max(value, 0), room[axis]) for value in (first, last))
        offset.append(np.random.randint(first, last + 1))
    return tuple(offset)
