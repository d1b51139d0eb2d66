"""Changing the colours of an image."""

from typing import Annotated

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from rdet.datasets.transforms.canvas import check_three_channels
from rdet.registry import TRANSFORMS
from rdet.schema import Fraction, Limits, Range


@TRANSFORMS.register_module()
class PhotoMetricDistortion(BaseTransform):
    """Changes brightness, contrast, saturation and hue, each with probability 0.5, as SSD does.

    Brightness comes first, contrast second or last (a coin decides). SSD's channel shuffle, which its own training
    left off, and MMDetection's has in every second image, is off.

    Args:
        brightness_delta: Greatest value that is added to or taken from all pixels (0 to 255).
        contrast_range: Least and greatest factor of all pixels.
        saturation_range: Least and greatest factor of the saturation.
        hue_delta: Greatest turn of the hue, in degrees (0 to 180).
        shuffle_prob: Probability of putting the channels in another order at the end.
    """

    def __init__(
        self,
        brightness_delta: Annotated[float, Limits(0, 255)] = 32,
        contrast_range: Range = (0.5, 1.5),
        saturation_range: Range = (0.5, 1.5),
        hue_delta: Annotated[float, Limits(0, 180)] = 18,
        shuffle_prob: Fraction = 0.0,
    ):
        self.brightness_delta = brightness_delta
        self.contrast_range = contrast_range
        self.saturation_range = saturation_range
        self.hue_delta = hue_delta
        self.shuffle_prob = shuffle_prob

    def transform(self, results: dict) -> dict:
        """Change ``img`` (H, W, 3), which stays uint8 BGR."""
        check_three_channels(results["img"], "PhotoMetricDistortion")
        do_brightness, do_contrast, contrast_last, do_saturation, do_hue = np.random.random(5) < 0.5
        brightness = np.random.uniform(-self.brightness_delta, self.brightness_delta) if do_brightness else 0.0
        contrast = np.random.uniform(*self.contrast_range) if do_contrast else 1.0
        saturation = np.random.uniform(*self.saturation_range) if do_saturation else 1.0
        hue = np.random.uniform(-self.hue_delta, self.hue_delta) if do_hue else 0.0
        results["img"] = distort(results["img"], brightness, contrast, saturation, hue, contrast_last)
        if self.shuffle_prob and np.random.random() < self.shuffle_prob:
            results["img"] = np.ascontiguousarray(results["img"][..., np.random.permutation(3)])
        return results

    def __repr__(self) -> str:
        return (
            f"PhotoMetricDistortion(brightness_delta={self.brightness_delta}, contrast_range={self.contrast_range}, "
            f"saturation_range={self.saturation_range}, hue_delta={self.hue_delta}, shuffle_prob={self.shuffle_prob})"
        )


def distort(
    image: np.ndarray,
    brightness: float = 0.0,
    contrast: float = 1.0,
    saturation: float = 1.0,
    hue: float = 0.0,
    contrast_last: bool = False,
) -> np.ndarray:
    """Change the colours of ``image`` (H, W, 3) uint8 BGR by the given amounts.

    Values are rounded and clipped to 0..255 once, at the end.

    Args:
        image: Is not changed itself.
        brightness: Added to every value.
        contrast: Factor of every value.
        saturation: Factor of the saturation, which ends at 1.
        hue: Turn of the hue in degrees (0 to 180).
        contrast_last: Multiply after saturation and hue instead of before.
    """
    pixels = image.astype(np.float32) + np.float32(brightness)
    if not contrast_last:
        pixels *= np.float32(contrast)
    if saturation != 1 or hue != 0:
        hsv = cv2.cvtColor(np.clip(pixels, 0, None), cv2.COLOR_BGR2HSV)  # degrees, 0..1, value
        hsv[..., 0] += np.float32(hue)  # OpenCV takes any angle
        hsv[..., 1] = np.minimum(hsv[..., 1] * np.float32(saturation), 1)
        pixels = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)
    if contrast_last:
        pixels *= np.float32(contrast)
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
