"""Flipping an image and its boxes."""

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from rdet.datasets.transforms.left_to_device import LeftToDevice
from rdet.errors import ConfigError
from rdet.registry import TRANSFORMS
from rdet.schema import Fraction

# direction -> cv2's flip code, and the axes (0: x, 1: y) in which boxes are mirrored
_DIRECTIONS = {"horizontal": (1, (0,)), "vertical": (0, (1,)), "diagonal": (-1, (0, 1))}


@TRANSFORMS.register_module()
class RandomFlip(BaseTransform):
    """Flips the image and ``gt_bboxes`` with a given probability.

    mmcv's transform of this name returns a view that runs backwards through memory, which makes
    the copy into a batch about ten times slower than this one. After a ``Resize`` with ``on_device=True``
    the device flips the pixels.

    Args:
        prob: Probability of a flip; of each direction if a list.
        direction: ``horizontal``, ``vertical`` or ``diagonal`` (both). Of a list, each direction
            gets an equal share of ``prob``, or its own if ``prob`` is a list.

    Raises:
        ConfigError: A direction does not exist, or the probabilities do not fit.
    """

    def __init__(self, prob: Fraction | list[Fraction] = 0.5, direction: str | list[str] = "horizontal"):
        self.directions = [direction] if isinstance(direction, str) else list(direction)
        for name in self.directions:
            if name not in _DIRECTIONS:
                raise ConfigError(f"RandomFlip: no direction {name!r}; valid: {', '.join(_DIRECTIONS)}")
        n = len(self.directions)
        self.probs = [prob / n] * n if isinstance(prob, int | float) else list(prob)
        if len(self.probs) != n or min(self.probs) < 0 or sum(self.probs) > 1 + 1e-9:
            raise ConfigError(f"RandomFlip: prob {prob} does not fit the directions {self.directions}")

    def transform(self, results: dict) -> dict:
        """Set ``flip`` and ``flip_direction``, and flip ``img`` and ``gt_bboxes``."""
        chosen = int(np.searchsorted(np.cumsum(self.probs), np.random.random(), side="right"))
        results["flip"] = chosen < len(self.directions)
        results["flip_direction"] = self.directions[chosen] if results["flip"] else None
        if results["flip"]:
            code, axes = _DIRECTIONS[results["flip_direction"]]
            image = results["img"]
            if isinstance(image, LeftToDevice):
                height, width = image.to_size
                results["img"] = image.flip(axes)
            else:
                height, width = image.shape[:2]
                results["img"] = cv2.flip(image, code).reshape(image.shape)
            if "gt_bboxes" in results:
                results["gt_bboxes"] = _flip_boxes(results["gt_bboxes"], (width, height), axes)
        return results

    def __repr__(self) -> str:
        return f"RandomFlip(prob={self.probs}, direction={self.directions})"


def _flip_boxes(bboxes: np.ndarray, size: tuple[int, int], axes: tuple[int, ...]) -> np.ndarray:
    flipped = bboxes.copy()  # (n, 4) xyxy
    for axis in axes:
        flipped[:, axis] = size[axis] - bboxes[:, axis + 2]
        flipped[:, axis + 2] = size[axis] - bboxes[:, axis]
    return flipped
