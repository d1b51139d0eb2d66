"""Putting an image at a random place of a larger canvas."""

import numpy as np
from mmcv.transforms import BaseTransform

from rdet.datasets.transforms.canvas import check_range
from rdet.errors import ConfigError
from rdet.registry import TRANSFORMS
from rdet.schema import Fraction, PositiveRange


@TRANSFORMS.register_module()
class Expand(BaseTransform):
    """Puts the image on a canvas of one colour, up to four times as wide and high, so that objects become smaller.

    SSD, Liu et al., ECCV 2016, section 3.6 ("zoom out").

    Args:
        mean: Grey level of the canvas in each channel of the image as it was loaded (blue, green, red), or one for all.
        ratio_range: Least and largest factor of width and height, drawn uniformly.
        prob: How often.
    """

    def __init__(
        self,
        mean: float | tuple[float, ...] = (104.0, 117.0, 123.0),
        ratio_range: PositiveRange = (1.0, 4.0),
        prob: Fraction = 0.5,
    ):
        self.mean = mean
        self.ratio_range = check_range("Expand: ratio_range", ratio_range)
        if self.ratio_range[0] < 1:
            raise ConfigError(f"Expand: ratio_range is {ratio_range}; it must begin at 1 or more")
        self.prob = prob

    def transform(self, results: dict) -> dict:
        """Expand ``img``, move the boxes, and set ``img_shape``."""
        if np.random.random() >= self.prob:
            return results
        image = results["img"]
        height, width, channels = image.shape
        ratio = np.random.uniform(*self.ratio_range)
        new_height, new_width = int(height * ratio), int(width * ratio)
        left, top = np.random.randint(new_width - width + 1), np.random.randint(new_height - height + 1)
        canvas = np.empty((new_height, new_width, channels), dtype=image.dtype)
        try:
            canvas[:] = np.asarray(self.mean, dtype=np.float32).round()
        except ValueError:
            raise ConfigError(
                f"Expand: mean is {self.mean}, but the image has {channels} channels; give one number for each"
            ) from None
        canvas[top : top + height, left : left + width] = image
        results["img"] = canvas
        results["img_shape"] = canvas.shape[:2]
        if "gt_bboxes" in results:
            results["gt_bboxes"] = results["gt_bboxes"] + np.array([left, top, left, top], dtype=np.float32)
        return results

    def __repr__(self) -> str:
        return f"Expand(mean={self.mean}, ratio_range={self.ratio_range}, prob={self.prob})"
