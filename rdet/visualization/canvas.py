"""The image that is drawn on, and the sizes that follow it."""

import math

import numpy as np

_READABLE = 300  # pixels of the longer side on which labels have room


def as_rgb(image: np.ndarray) -> np.ndarray:
    """Return an image as (H, W, 3) uint8 to draw on, which is a copy.

    Args:
        image: (H, W) or (H, W, N) of any number type. One or two channels are shown as their mean, of more than three
            the first three. Numbers that are not uint8 are scaled from the image's lowest and highest.
    """
    image = np.asarray(image)
    image = image[:, :, None] if image.ndim == 2 else image
    if image.shape[2] in (1, 2):
        image = np.repeat(image.mean(axis=2, keepdims=True).astype(image.dtype), 3, axis=2)
    image = image[:, :, :3]
    if image.dtype == np.uint8:
        return np.array(image, order="C")
    values = np.nan_to_num(image.astype(np.float64), posinf=0, neginf=0)
    low, high = (values.min(), values.max()) if values.size else (0.0, 1.0)
    return np.round((values - low) * (255 / max(high - low, 1e-12))).astype(np.uint8)


def enlargement(height: int, width: int) -> int:
    """Return by which whole number a small image is enlarged where a picture need not be of its size, so that what is
    written on it can be read.
    """
    return max(1, math.ceil(_READABLE / max(height, width, 1)))


def enlarged(image: np.ndarray, factor: int) -> np.ndarray:
    """Repeat each pixel of an image (H, W, N) ``factor`` times in both directions."""
    return image if factor == 1 else image.repeat(factor, axis=0).repeat(factor, axis=1)


def line_width(height: int, width: int) -> int:
    """Return the width of a line, in pixels, that is seen when the whole image is looked at."""
    return max(1, round(0.0233 * math.sqrt(height * width) ** 0.7))


def text_size(height: int, width: int) -> int:
    """Return the size of letters, in pixels, that are read when the whole image is looked at."""
    return max(10, round(math.sqrt(height * width) / 50))
