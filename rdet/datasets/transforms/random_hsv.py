"""Shifting hue, saturation and value of an image."""

from typing import Annotated

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from rdet.datasets.transforms.canvas import check_three_channels
from rdet.registry import TRANSFORMS
from rdet.schema import Limits


@TRANSFORMS.register_module()
class RandomHSV(BaseTransform):
    """Adds a number to hue, saturation and value of all pixels, each with probability 0.5 (YOLOX's code).

    Args:
        hue_delta: Greatest turn of the hue, in steps of 2 degrees, of which a circle has 180; either way.
        saturation_delta: Greatest change of the saturation, 0 to 255, either way.
        value_delta: Greatest change of the value, 0 to 255, either way.
    """

    def __init__(
        self,
        hue_delta: Annotated[float, Limits(0, 90)] = 5,
        saturation_delta: Annotated[float, Limits(0, 255)] = 30,
        value_delta: Annotated[float, Limits(0, 255)] = 30,
    ):
        self.hue_delta = hue_delta
        self.saturation_delta = saturation_delta
        self.value_delta = value_delta

    def transform(self, results: dict) -> dict:
        """Change ``img`` (H, W, 3), which stays uint8 BGR."""
        check_three_channels(results["img"], "RandomHSV")
        deltas = np.random.uniform(-1, 1, 3) * (self.hue_delta, self.saturation_delta, self.value_delta)
        hue, saturation, value = (deltas * np.random.randint(0, 2, 3)).astype(np.int16)
        pixels = cv2.cvtColor(results["img"], cv2.COLOR_BGR2HSV)
        levels = np.arange(256, dtype=np.int16)
        tables = (levels + hue) % 180, np.clip(levels + saturation, 0, 255), np.clip(levels + value, 0, 255)
        table = np.stack(tables, axis=1).astype(np.uint8)[None]  # (1, 256, 3)
        results["img"] = cv2.cvtColor(cv2.LUT(pixels, table), cv2.COLOR_HSV2BGR)
        return results

    def __repr__(self) -> str:
        return (
            f"RandomHSV(hue_delta={self.hue_delta}, saturation_delta={self.saturation_delta}, "
            f"value_delta={self.value_delta})"
        )
