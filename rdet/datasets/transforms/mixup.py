"""Two images blended."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from rdet.datasets.transforms.canvas import PAD_VAL, boxes_on, check_pad_val, check_range, join, new_canvas, put
from rdet.datasets.transforms.jitter import offset_in
from rdet.datasets.transforms.mix_transform import MixTransform
from rdet.datasets.transforms.resize import fit
from rdet.registry import TRANSFORMS
from rdet.schema import Fraction, Positive


@TRANSFORMS.register_module()
class MixUp(MixTransform):
    """Takes the mean of the image and another one, and the boxes of both.

    Mixup (Zhang et al., ICLR 2018) in the form of YOLOX (Ge et al., arXiv 2107.08430, 2021): both
    images count half and all boxes in full, whereas Zhang et al. draw the share from a Beta
    distribution and weight the labels by it. The other image is resized to fit this one, times a
    factor that is drawn. Where it is larger then, a window of it is taken at random; where it is
    smaller, it lies in the upper left and ``pad_val`` fills the rest. YOLOX mirrors it too: put a
    RandomFlip into the wrapped data set's pipeline.

    The size, ``img_id`` and the rest of the record stay.

    Args:
        ratio_range: Least and greatest factor of the other image.
        pad_val: What this image is mixed with where the other does not reach, 0 to 255; one value,
            or blue, green, red.
        prob: Probability that the image is mixed.
    """

    def __init__(
        self,
        ratio_range: tuple[Positive, Positive] = (0.5, 1.5),
        pad_val: float | Sequence[float] = PAD_VAL,
        prob: Fraction = 1.0,
    ):
        super().__init__(prob)
        self.ratio_range = check_range("MixUp: ratio_range", ratio_range)
        self.pad_val = check_pad_val("MixUp: pad_val", pad_val)

    def combine(self, results: dict, draw: Callable[[], dict]) -> dict:
        """Return the record with the mean as ``img``; its own boxes come first."""
        size = results["img"].shape[1::-1]
        other = fit(draw(), size, np.random.uniform(*self.ratio_range))
        left, top = offset_in(other["img"], size)
        canvas = new_canvas(size, self.pad_val)
        put(canvas, other["img"], (-left, -top))
        results["img"] = cv2.addWeighted(results["img"], 0.5, canvas, 0.5, 0)
        results.update(join([results, boxes_on(other, (-left, -top), size)]))
        return results

    def __repr__(self) -> str:
        return f"MixUp(ratio_range={self.ratio_range}, prob={self.prob})"
