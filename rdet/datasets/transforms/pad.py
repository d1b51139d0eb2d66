"""Padding an image."""

from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform

from rdet.datasets.transforms.canvas import PAD_VAL, check_pad_val, new_canvas, put
from rdet.datasets.transforms.resize import as_scale
from rdet.registry import TRANSFORMS
from rdet.schema import Count


@TRANSFORMS.register_module()
class Pad(BaseTransform):
    """Pads at the right and the bottom to a size; a side that is longer stays.

    What is added counts as part of the image, unlike what ``DetDataPreprocessor`` adds.

    Args:
        size: Width and height in pixels, or one number for both.
        pad_val: 0 to 255; one value, or blue, green, red.
    """

    def __init__(self, size: tuple[Count, Count] | Count, pad_val: float | Sequence[float] = PAD_VAL):
        self.size = as_scale(size)
        self.pad_val = check_pad_val("Pad: pad_val", pad_val)

    def transform(self, results: dict) -> dict:
        """Pad ``img`` and set ``img_shape``; boxes stay where they are."""
        height, width = results["img"].shape[:2]
        size = max(width, self.size[0]), max(height, self.size[1])
        if size != (width, height):
            canvas: np.ndarray = new_canvas(size, self.pad_val)
            put(canvas, results["img"], (0, 0))
            results["img"] = canvas
        results["img_shape"] = results["img"].shape[:2]
        return results

    def __repr__(self) -> str:
        return f"Pad(size={self.size}, pad_val={self.pad_val})"
