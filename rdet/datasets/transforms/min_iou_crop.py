"""Cropping so that objects stay to a given part."""

import numpy as np
from mmcv.transforms import BaseTransform

from rdet.datasets.transforms.crop import crop_boxes
from rdet.errors import ConfigError
from rdet.registry import TRANSFORMS
from rdet.schema import Count, Fraction

_WHOLE = -1.0  # of the options of a draw, the image as it is
_ANY = 0.0  # a window, whatever it overlaps


@TRANSFORMS.register_module()
class MinIoURandomCrop(BaseTransform):
    """Cuts out a window whose least IoU with an object is at least what was drawn (SSD, ECCV 2016, section 2.2).

    One of ``min_ious``, the image as it is, or any window is drawn, each as often. Windows are tried until one has the
    overlap, a width at most twice the height and the reverse, and the centre of an object in it; after ``tries``
    windows another overlap is drawn. Objects whose centre lies outside go, others are clipped. Of ignored regions only
    what lies outside goes, so that what they cover is never background.

    Args:
        min_ious: Overlaps to draw from.
        min_crop_size: Least width and height of a window, as shares of the image's.
        tries: Windows for one overlap.
    """

    def __init__(
        self,
        min_ious: tuple[Fraction, ...] = (0.1, 0.3, 0.5, 0.7, 0.9),
        min_crop_size: Fraction = 0.3,
        tries: Count = 50,
    ):
        if not 0 < min_crop_size <= 1:
            raise ConfigError(f"MinIoURandomCrop: min_crop_size is {min_crop_size}; it must lie in (0, 1]")
        self.min_ious = tuple(min_ious)
        self.min_crop_size = min_crop_size
        self.tries = tries

    def transform(self, results: dict) -> dict:
        """Crop ``img`` and the boxes, and set ``img_shape``."""
        height, width = results["img"].shape[:2]
        boxes = results.get("gt_bboxes", np.empty((0, 4), np.float32))
        objects = boxes[~results["gt_ignore_flags"]] if len(boxes) else boxes
        while True:
            wanted = np.random.choice([_WHOLE, *self.min_ious, _ANY])
            if wanted == _WHOLE:
                return results
            for _ in range(self.tries):
                window = self._window(width, height)
                if window is not None and _fits(objects, window, wanted):
                    return _cropped(results, window)

    def _window(self, width: int, height: int) -> tuple[int, int, int, int] | None:
        """Draw left, top, width and height; None if it is too long."""
        new_width, new_height = (
            max(1, int(np.random.uniform(self.min_crop_size * side, side))) for side in (width, height)
        )
        if not 0.5 <= new_height / new_width <= 2:
            return None
        left, top = np.random.randint(width - new_width + 1), np.random.randint(height - new_height + 1)
        return left, top, new_width, new_height

    def __repr__(self) -> str:
        return f"MinIoURandomCrop(min_ious={self.min_ious}, min_crop_size={self.min_crop_size}, tries={self.tries})"


def _fits(objects: np.ndarray, window: tuple[int, int, int, int], min_iou: float) -> bool:
    """Tell whether a window overlaps all objects (n, 4) as much as asked, and has the centre of one of them."""
    if not len(objects):  # any window will do
        return True
    left, top, width, height = window
    limits = np.array([left, top, left + width, top + height])
    common = (np.minimum(objects[:, 2:], limits[2:]) - np.maximum(objects[:, :2], limits[:2])).clip(min=0).prod(axis=1)
    union = (objects[:, 2:] - objects[:, :2]).prod(axis=1) + width * height - common
    return bool((common / union).min() >= min_iou and _centers_within(objects, window).any())


def _centers_within(boxes: np.ndarray, window: tuple[int, int, int, int]) -> np.ndarray:
    left, top, width, height = window
    center = (boxes[:, :2] + boxes[:, 2:]) / 2
    within: np.ndarray = ((center > (left, top)) & (center < (left + width, top + height))).all(axis=1)
    return within


def _cropped(results: dict, window: tuple[int, int, int, int]) -> dict:
    left, top, width, height = window
    if "gt_bboxes" in results:
        boxes = results["gt_bboxes"]
        cropped, kept = crop_boxes(boxes, (left, top), (width, height))
        kept &= _centers_within(boxes, window) | results["gt_ignore_flags"]
        results["gt_bboxes"] = cropped[kept]
        for key in ("gt_bboxes_labels", "gt_ignore_flags"):
            results[key] = results[key][kept]
    results["img"] = np.ascontiguousarray(results["img"][top : top + height, left : left + width])
    results["img_shape"] = results["img"].shape[:2]
    return results
