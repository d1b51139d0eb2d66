"""Resizing by a wide range to a fixed size."""

from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform

from rdet.datasets.transforms.canvas import PAD_VAL, boxes_on, check_pad_val, check_range, new_canvas, put
from rdet.datasets.transforms.resize import as_scale, fit
from rdet.registry import TRANSFORMS
from rdet.schema import Count, Positive


@TRANSFORMS.register_module()
class LargeScaleJitter(BaseTransform):
    """Resizes by a factor that is drawn, then crops or pads to ``scale``.

    Ghiasi et al., Simple Copy-Paste, CVPR 2021, section 3. The image is first thought as large as
    fits ``scale``, then multiplied by the factor; width and height keep their ratio. Where it is
    larger than ``scale``, a window is taken at random; where it is smaller, it lies in the upper
    left and ``pad_val`` fills the rest. Boxes are cut as :class:`RandomCrop` does it. The window need
    not show any.

    Args:
        scale: Width and height of every result in pixels, or one number for both.
        ratio_range: Least and greatest factor; (0.8, 1.25) is the paper's standard jitter.
        pad_val: 0 to 255; one value, or blue, green, red.
    """

    def __init__(
        self,
        scale: tuple[Count, Count] | Count,
        ratio_range: tuple[Positive, Positive] = (0.1, 2.0),
        pad_val: float | Sequence[float] = PAD_VAL,
    ):
        self.scale = as_scale(scale)
        self.ratio_range = check_range("LargeScaleJitter: ratio_range", ratio_range)
        self.pad_val = check_pad_val("LargeScaleJitter: pad_val", pad_val)

    def transform(self, results: dict) -> dict:
        """Change ``img`` and the boxes, and set ``img_shape`` and ``scale_factor``."""
        results = fit(results, self.scale, np.random.uniform(*self.ratio_range))
        left, top = offset_in(results["img"], self.scale)
        canvas = new_canvas(self.scale, self.pad_val)
        put(canvas, results["img"], (-left, -top))
        if "gt_bboxes" in results:
            results.update(boxes_on(results, (-left, -top), self.scale))
        results["img"], results["img_shape"] = canvas, canvas.shape[:2]
        return results

    def __repr__(self) -> str:
        return f"LargeScaleJitter(scale={self.scale}, ratio_range={self.ratio_range})"


def offset_in(image: np.ndarray, size: tuple[int, int]) -> tuple[int, int]:
    """Draw where in the image (H, W, 3) a window of ``size`` (width, height) begins.

    Along a side of the image that is not longer than the window's, it is 0.
    """
    room = image.shape[1] - size[0], image.shape[0] - size[1]
    return tuple(np.random.randint(max(r, 0) + 1) for r in room)
