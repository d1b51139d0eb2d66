"""Putting pictures and their boxes on a canvas."""

from collections.abc import Sequence

import numpy as np

from rdet.datasets.transforms.crop import crop_boxes
from rdet.errors import ConfigError, DatasetError

COLUMNS = ("gt_bboxes", "gt_bboxes_labels", "gt_ignore_flags")  # what a record says of its boxes
PAD_VAL = 114  # the grey of YOLO


def new_canvas(size: tuple[int, int], pad_val: tuple[float, ...]) -> np.ndarray:
    """Make a canvas (H, W, 3) uint8 of ``size`` (width, height), filled with blue, green and red."""
    canvas = np.empty((size[1], size[0], 3), dtype=np.uint8)
    canvas[:] = pad_val
    return canvas


def check_three_channels(image: np.ndarray, what: str) -> None:
    """Raise DatasetError unless an image has three channels, which ``what`` needs."""
    if image.shape[2] != 3:
        raise DatasetError(f"{what} takes images of 3 channels, not of {image.shape[2]}; leave it out of the pipeline")


def put(canvas: np.ndarray, image: np.ndarray, corner: tuple[int, int]) -> None:
    """Copy ``image`` (h, w, 3) into ``canvas`` (H, W, 3), its upper left pixel to ``corner`` (x, y).

    What does not fit on the canvas is cut off.
    """
    check_three_channels(image, "Mosaic, MixUp, Pad or LargeScaleJitter")
    x, y = corner
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + image.shape[1], canvas.shape[1]), min(y + image.shape[0], canvas.shape[0])
    if left < right and top < bottom:
        canvas[top:bottom, left:right] = image[top - y : bottom - y, left - x : right - x]


def boxes_on(results: dict, corner: tuple[int, int], size: tuple[int, int]) -> dict[str, np.ndarray]:
    """Return a record's box columns as a canvas of ``size`` shows them, where :func:`put` has put the picture.

    Boxes are clipped to the canvas; which of them go says :func:`~rdet.datasets.transforms.crop.crop_boxes`.
    """
    cropped, kept = crop_boxes(results["gt_bboxes"], (-corner[0], -corner[1]), size)
    return {
        "gt_bboxes": cropped[kept],
        "gt_bboxes_labels": results["gt_bboxes_labels"][kept],
        "gt_ignore_flags": results["gt_ignore_flags"][kept],
    }


def join(parts: Sequence[dict]) -> dict[str, np.ndarray]:
    """Join the columns of several records, one after the other."""
    return {key: np.concatenate([part[key] for part in parts]) for key in COLUMNS}


def check_range(name: str, given: Sequence[float]) -> tuple[float, float]:
    """Return the two ends. Raise ConfigError unless they are positive and in order."""
    ends = tuple(given)
    if len(ends) != 2 or not 0 < ends[0] <= ends[1]:
        raise ConfigError(f"{name} must be two positive numbers, the least first, got {given}")
    return ends


def check_pad_val(name: str, given: float | Sequence[float]) -> tuple[float, ...]:
    """Return blue, green and red. Raise ConfigError unless they are one or three numbers of 0 to 255."""
    values = tuple(given) if isinstance(given, Sequence) else (given,) * 3
    if len(values) != 3 or not all(0 <= value <= 255 for value in values):
        raise ConfigError(f"{name} must be one number from 0 to 255, or three, got {given}")
    return values
