"""Resizing an image and its boxes."""

from collections.abc import Sequence

import mmcv
import numpy as np
from mmcv.transforms import BaseTransform

from rdet.datasets.transforms.left_to_device import LeftToDevice
from rdet.errors import ConfigError, PipelineError
from rdet.registry import TRANSFORMS
from rdet.schema import Count, PositiveRange

Scale = tuple[Count, Count]  # two sides in pixels
_MOST = 2**30  # pixels, as OpenCV bounds what it decodes


def resize(results: dict, scale: Scale, keep_ratio: bool, round_down: bool = False, on_device: bool = False) -> dict:
    """Resize ``img`` and ``gt_bboxes``, and set ``img_shape`` and ``scale_factor``.

    A side keeps at least one pixel, even of a picture of 1 x 20,000.

    ``scale_factor`` (x, y) is that of the boxes: the ratio of the rounded sizes, times the factor of
    any resizing before.

    Args:
        results: Record with ``img``.
        scale: With ``keep_ratio`` the bounds of the longer and the shorter side, in any order: the
            result is as large as both allow. Without, the new width and height.
        keep_ratio: Whether width and height are resized alike.
        round_down: Whether they are then rounded down, not to the nearest pixel.
        on_device: Whether the pixels are left to the network's device, which gets the image as it is.
    """
    height, width = results["img"].shape[:2]
    size: Scale = scale
    if keep_ratio:
        size, factor = mmcv.rescale_size((width, height), tuple(scale), return_scale=True)
        size = (int(width * factor), int(height * factor)) if round_down else size
    size = max(1, size[0]), max(1, size[1])
    if size[0] * size[1] > _MOST:
        raise PipelineError(
            f"{results.get('img_path')}: scale {scale} makes {size[0]} x {size[1]} pixels of {width} x {height}; an "
            f"image has {_MOST:,} at most, lower scale"
        )
    results["img_shape"] = size[::-1]
    if on_device:
        results["img"] = LeftToDevice(results["img"], results["img_shape"])
    else:
        resized = mmcv.imresize(results["img"], size)
        results["img"] = resized.reshape(*resized.shape[:2], -1)  # OpenCV leaves the axis of one channel out
    factor = results["img_shape"][1] / width, results["img_shape"][0] / height
    before = results.get("scale_factor", (1.0, 1.0))
    results["scale_factor"] = before[0] * factor[0], before[1] * factor[1]
    if "gt_bboxes" in results:
        boxes = results["gt_bboxes"] * np.array([*factor, *factor], dtype=np.float32)
        results["gt_bboxes"] = np.minimum(boxes, np.array([*size, *size], dtype=np.float32))  # rounding
    return results


def fit(results: dict, size: Scale, ratio: float = 1.0) -> dict:
    """Resize to the largest picture of the same shape within ``ratio`` times ``size`` (width, height).

    Unlike with a ``scale``, the order of the two sides matters. A side has at least one pixel.
    """
    height, width = results["img"].shape[:2]
    factor = ratio * min(size[0] / width, size[1] / height)
    return resize(results, tuple(max(1, round(side * factor)) for side in (width, height)), keep_ratio=False)


@TRANSFORMS.register_module()
class Resize(BaseTransform):
    """Resizes to one scale; see :func:`resize`.

    mmcv has transforms of these names too. These check their keys, keep boxes float32, and multiply
    the ``scale_factor`` of one resizing after another.

    Args:
        scale: Two sides in pixels, or one for both.
        keep_ratio: Whether ``scale`` bounds the sides instead of setting them.
        round_down: Whether sides with ``keep_ratio`` are rounded down, as in YOLOX's code, not to the nearest pixel.
        on_device: Leave the pixels to the network's device: the loader hands on the image as it was loaded, and the
            data preprocessor resizes it. A ``RandomFlip`` that follows is left to the device, too. Only
            ``FilterAnnotations`` and ``PackDetInputs`` may follow besides.
    """

    def __init__(
        self, scale: Scale | Count, keep_ratio: bool = False, round_down: bool = False, on_device: bool = False
    ):
        self.scale = as_scale(scale)
        self.keep_ratio = keep_ratio
        self.round_down = round_down
        self.on_device = on_device

    def transform(self, results: dict) -> dict:
        """Resize ``results``."""
        return resize(results, self.scale, self.keep_ratio, self.round_down, self.on_device)

    def __repr__(self) -> str:
        rounding = ", round_down=True" if self.round_down else ""
        return f"Resize(scale={self.scale}, keep_ratio={self.keep_ratio}{rounding}{_where(self.on_device)})"


@TRANSFORMS.register_module()
class FitWithin(BaseTransform):
    """Shrinks what is larger than a size, and keeps its shape; see :func:`fit`. Exported files of one size need it.

    Args:
        size: Width and height in pixels; unlike with a ``scale``, their order matters.
    """

    def __init__(self, size: Scale):
        self.size = as_scale(size)

    def transform(self, results: dict) -> dict:
        """Resize ``results``, if they are larger."""
        height, width = results["img"].shape[:2]
        return results if width <= self.size[0] and height <= self.size[1] else fit(results, self.size)

    def __repr__(self) -> str:
        return f"FitWithin(size={self.size})"


@TRANSFORMS.register_module()
class RandomChoiceResize(BaseTransform):
    """Resizes to one of several scales, each as likely; see :func:`resize`.

    Args:
        scales: Each two sides in pixels, or one for both.
        keep_ratio: Whether a scale bounds the sides instead of setting them.
        on_device: As of :class:`Resize`.
    """

    def __init__(self, scales: Sequence[Scale | Count], keep_ratio: bool = False, on_device: bool = False):
        self.scales = [as_scale(scale) for scale in scales]
        if not self.scales:
            raise ConfigError("RandomChoiceResize: no scales to choose from")
        self.keep_ratio = keep_ratio
        self.on_device = on_device

    def transform(self, results: dict) -> dict:
        """Resize ``results``."""
        scale = self.scales[np.random.randint(len(self.scales))]
        return resize(results, scale, self.keep_ratio, on_device=self.on_device)

    def __repr__(self) -> str:
        return f"RandomChoiceResize(scales={self.scales}, keep_ratio={self.keep_ratio}{_where(self.on_device)})"


@TRANSFORMS.register_module()
class RandomResize(BaseTransform):
    """Resizes to a scale from a range; see :func:`resize`.

    Args:
        scale: Two scales; each side is drawn between those of the two, ends included. With
            ``ratio_range`` one scale, or None: the size of the image.
        ratio_range: Least and greatest factor of ``scale``.
        keep_ratio: Whether the scale bounds the sides instead of setting them.
        on_device: As of :class:`Resize`.
    """

    def __init__(
        self,
        scale: Scale | Sequence[Scale] | None = None,
        ratio_range: PositiveRange | None = None,
        keep_ratio: bool = False,
        on_device: bool = False,
    ):
        self.scales = [as_scale(s) for s in ([scale] if ratio_range else scale or ()) if s is not None]
        if scale is None and not ratio_range:
            raise ConfigError("RandomResize: set scale or ratio_range")
        if scale is not None and len(self.scales) != (1 if ratio_range else 2):
            raise ConfigError(f"RandomResize: scale must be two scales, or one with ratio_range, got {scale}")
        self.ratio_range = ratio_range
        self.keep_ratio = keep_ratio
        self.on_device = on_device

    def transform(self, results: dict) -> dict:
        """Resize ``results``."""
        if self.ratio_range:
            ratio = np.random.uniform(*self.ratio_range)
            of = self.scales[0] if self.scales else results["img"].shape[1::-1]
            scale = tuple(max(int(side * ratio), 1) for side in of)
        else:
            sides = zip(*self.scales, strict=True)
            scale = tuple(np.random.randint(min(ends), max(ends) + 1) for ends in sides)
        return resize(results, scale, self.keep_ratio, on_device=self.on_device)

    def __repr__(self) -> str:
        said = f"scale={self.scales}, ratio_range={self.ratio_range}, keep_ratio={self.keep_ratio}"
        return f"RandomResize({said}{_where(self.on_device)})"


def _where(on_device: bool) -> str:
    return ", on_device=True" if on_device else ""


def as_scale(scale: Scale | Count) -> Scale:
    sides = (scale, scale) if isinstance(scale, int) else tuple(scale)
    if len(sides) != 2 or not all(isinstance(side, int) and side > 0 for side in sides):
        raise ConfigError(f"a scale must be two sides in whole pixels, got {scale!r}")
    return sides
