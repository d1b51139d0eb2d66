"""Shifting an image and its boxes."""

import numpy as np
from mmcv.transforms import BaseTransform

from rdet.datasets.transforms.crop import crop_boxes
from rdet.registry import TRANSFORMS
from rdet.schema import Fraction, Natural, NotNegative


@TRANSFORMS.register_module()
class RandomShift(BaseTransform):
    """Shifts the image by whole pixels in x and y with a given probability; its size stays, what comes in is black.

    YOLOF, whose one level has a stride of 32, sees objects at more places of a cell by it (Chen et al., CVPR 2021,
    section 5.1). Boxes are clipped; one that loses its area, or is cut to less than ``min_side``, goes with its label
    and ignore flag. Where no box would be left, the image stays as it is.

    Args:
        prob: Probability of a shift.
        max_shift: Most pixels in each direction.
        min_side: Least width and height in pixels of what is left of a box that was cut.
    """

    def __init__(self, prob: Fraction = 0.5, max_shift: Natural = 32, min_side: NotNegative = 1.0):
        self.prob = prob
        self.max_shift = max_shift
        self.min_side = min_side

    def transform(self, results: dict) -> dict:
        """Shift ``img`` and the boxes."""
        if np.random.random() >= self.prob:
            return results
        x, y = (int(shift) for shift in np.random.randint(-self.max_shift, self.max_shift + 1, size=2))
        image = results["img"]
        height, width = image.shape[:2]
        if "gt_bboxes" in results:
            boxes, kept = crop_boxes(results["gt_bboxes"], (-x, -y), (width, height), self.min_side)
            if not kept.any():
                return results
            results["gt_bboxes"] = boxes[kept]
            for key in ("gt_bboxes_labels", "gt_ignore_flags"):
                results[key] = results[key][kept]
        shifted = np.zeros_like(image)
        to = slice(max(y, 0), height + min(y, 0)), slice(max(x, 0), width + min(x, 0))
        source = slice(max(-y, 0), height - max(y, 0)), slice(max(-x, 0), width - max(x, 0))
        if abs(x) < width and abs(y) < height:
            shifted[to] = image[source]
        results["img"] = shifted
        return results

    def __repr__(self) -> str:
        return f"RandomShift(prob={self.prob}, max_shift={self.max_shift}, min_side={self.min_side})"
