"""Rotating, resizing, shearing and shifting an image at once."""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from rdet.datasets.transforms.canvas import PAD_VAL, check_pad_val, check_range, check_three_channels
from rdet.datasets.transforms.crop import crop_boxes
from rdet.datasets.transforms.resize import as_scale
from rdet.errors import ConfigError
from rdet.registry import TRANSFORMS
from rdet.schema import Count, Fraction, NotNegative, Positive


@TRANSFORMS.register_module()
class RandomAffine(BaseTransform):
    """Maps the image by a random affine map about its upper left corner (YOLOX, Ge et al., 2021, as in its code).

    It resizes, rotates, shears and then shifts, each by an amount that is drawn. A box becomes the bounding box of its
    mapped corners, cut as :class:`RandomCrop` does it. After a :class:`Mosaic`, ``size`` is its ``img_scale``: the
    window shows the mosaic's upper left part, or more of it where it is made smaller.

    The result counts as an image of its own: ``ori_shape`` is its shape and ``scale_factor`` 1.

    Args:
        size: Width and height of the result in pixels, or one number for both.
        max_rotate_degree: Greatest turn, either way.
        max_translate_ratio: Greatest shift, as a share of ``size``, either way.
        scaling_ratio_range: Least and greatest factor; YOLOX has (0.1, 2), and of nano and tiny (0.5, 1.5).
        max_shear_degree: Greatest shear along each axis.
        pad_val: What shows where the image does not reach, 0 to 255; one value, or blue, green, red.
    """

    def __init__(
        self,
        size: tuple[Count, Count] | Count,
        max_rotate_degree: NotNegative = 10.0,
        max_translate_ratio: Fraction = 0.1,
        scaling_ratio_range: tuple[Positive, Positive] = (0.5, 1.5),
        max_shear_degree: NotNegative = 2.0,
        pad_val: float | Sequence[float] = PAD_VAL,
    ):
        if max_shear_degree >= 45:
            raise ConfigError(f"RandomAffine: max_shear_degree must be below 45, got {max_shear_degree}")
        self.size = as_scale(size)
        self.max_rotate_degree = max_rotate_degree
        self.max_translate_ratio = max_translate_ratio
        self.scaling_ratio_range = check_range("RandomAffine: scaling_ratio_range", scaling_ratio_range)
        self.max_shear_degree = max_shear_degree
        self.pad_val = check_pad_val("RandomAffine: pad_val", pad_val)

    def transform(self, results: dict) -> dict:
        """Change ``img`` and the boxes, and set ``img_shape``, ``ori_shape`` and ``scale_factor``."""
        check_three_channels(results["img"], "RandomAffine")
        degrees = np.random.uniform(-self.max_rotate_degree, self.max_rotate_degree)
        ratio = np.random.uniform(*self.scaling_ratio_range)
        shear = np.random.uniform(-self.max_shear_degree, self.max_shear_degree, 2)
        shift = np.random.uniform(-self.max_translate_ratio, self.max_translate_ratio, 2) * self.size
        matrix = affine_map(ratio, degrees, shear, shift)
        results["img"] = cv2.warpAffine(results["img"], matrix, self.size, borderValue=self.pad_val)
        results["img_shape"] = results["ori_shape"] = results["img"].shape[:2]
        results["scale_factor"] = (1.0, 1.0)
        if "gt_bboxes" in results:
            boxes, kept = crop_boxes(mapped(results["gt_bboxes"], matrix), (0, 0), self.size)
            results["gt_bboxes"] = boxes[kept]
            for key in ("gt_bboxes_labels", "gt_ignore_flags"):
                results[key] = results[key][kept]
        return results

    def __repr__(self) -> str:
        return (
            f"RandomAffine(size={self.size}, max_rotate_degree={self.max_rotate_degree}, max_translate_ratio="
            f"{self.max_translate_ratio}, scaling_ratio_range={self.scaling_ratio_range}, max_shear_degree="
            f"{self.max_shear_degree})"
        )


def affine_map(ratio: float, degrees: float, shear: Sequence[float], shift: Sequence[float]) -> np.ndarray:
    """Make the matrix (2, 3) that resizes, rotates, shears by two angles in degrees, and shifts by x and y."""
    turn = math.radians(degrees)
    linear = ratio * np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    sheared = np.array([[1, math.tan(math.radians(shear[0]))], [math.tan(math.radians(shear[1])), 1]]) @ linear
    return np.concatenate([sheared, np.array(shift, dtype=float)[:, None]], axis=1)


def mapped(boxes: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return the bounding boxes (n, 4) of boxes (n, 4), whose corners a matrix (2, 3) maps."""
    corners = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)  # (n, 4, 2)
    corners = corners @ matrix[:, :2].T + matrix[:, 2]
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1).astype(boxes.dtype)
