"""Four images as one."""

from collections.abc import Callable, Sequence

import numpy as np

from rdet.datasets.transforms.canvas import PAD_VAL, boxes_on, check_pad_val, check_range, join, new_canvas, put
from rdet.datasets.transforms.mix_transform import MixTransform
from rdet.datasets.transforms.resize import as_scale, fit
from rdet.errors import ConfigError
from rdet.registry import TRANSFORMS
from rdet.schema import Count, Fraction, NotNegative


@TRANSFORMS.register_module()
class Mosaic(MixTransform):
    """Puts four images around a point of a canvas of twice ``img_scale``.

    Bochkovskiy et al., YOLOv4 (arXiv 2004.10934, 2020), section 3.3, in the form of Ge et al., YOLOX
    (arXiv 2107.08430, 2021). Each image is resized to fit ``img_scale`` and touches the point with a
    corner: the record itself above it to the left, three others above right, below left and below
    right. What reaches beyond the canvas is cut off, boxes as :class:`RandomCrop` does it.

    YOLOX goes on to an image of ``img_scale`` by a random affine map; here :class:`LargeScaleJitter`
    does that, without rotation and shear.

    The result counts as an image of its own: ``ori_shape`` is its shape, ``scale_factor`` 1 and
    ``flip`` False. ``img_id`` and ``img_path`` remain those of the record.

    Args:
        img_scale: Width and height that each image fits in, or one number for both.
        center_ratio_range: The point is drawn between these multiples of ``img_scale``.
        pad_val: What the rest of the canvas is filled with, 0 to 255; one value, or blue, green, red.
        prob: Probability of a mosaic. Without one, the image keeps its size.
    """

    def __init__(
        self,
        img_scale: tuple[Count, Count] | Count,
        center_ratio_range: tuple[NotNegative, NotNegative] = (0.5, 1.5),
        pad_val: float | Sequence[float] = PAD_VAL,
        prob: Fraction = 1.0,
    ):
        super().__init__(prob)
        self.img_scale = as_scale(img_scale)
        self.center_ratio_range = check_range("Mosaic: center_ratio_range", center_ratio_range)
        if self.center_ratio_range[1] >= 2:
            raise ConfigError(f"Mosaic: center_ratio_range must end below 2, got {center_ratio_range}")
        self.pad_val = check_pad_val("Mosaic: pad_val", pad_val)

    def combine(self, results: dict, draw: Callable[[], dict]) -> dict:
        """Return the record with the mosaic as ``img``, and the boxes of all four images."""
        size = 2 * self.img_scale[0], 2 * self.img_scale[1]
        center = [int(np.random.uniform(*self.center_ratio_range) * side) for side in self.img_scale]
        canvas = new_canvas(size, self.pad_val)
        columns = []
        for quarter, part in enumerate((results, draw(), draw(), draw())):
            part = fit(part, self.img_scale)
            height, width = part["img"].shape[:2]
            below, right = divmod(quarter, 2)
            corner = center[0] - (0 if right else width), center[1] - (0 if below else height)
            put(canvas, part["img"], corner)
            columns.append(boxes_on(part, corner, size))
        results.update(join(columns), img=canvas, img_shape=canvas.shape[:2], ori_shape=canvas.shape[:2])
        results.update(scale_factor=(1.0, 1.0), flip=False, flip_direction=None)
        return results

    def __repr__(self) -> str:
        return f"Mosaic(img_scale={self.img_scale}, center_ratio_range={self.center_ratio_range}, prob={self.prob})"
