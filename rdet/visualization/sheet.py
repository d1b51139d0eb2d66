"""Several pictures in one."""

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image

from rdet.visualization.texts import strip, text_extent

_PAPER = (245, 245, 245)
_GAP = 8  # pixels
_SHOWS_PIXELS = 3
_CAPTION, _SMALL_CAPTION = 15, 11  # size of letters


def fitted(image: np.ndarray, side: int) -> tuple[np.ndarray, float]:
    """Resize an image so that its longer side has ``side`` pixels.

    A very small one is enlarged by a whole number, so that its pixels are seen.

    Args:
        image: (H, W, 3) uint8.
        side: In pixels.

    Returns:
        The image, and the factor by which it was resized.
    """
    height, width = image.shape[:2]
    factor = side / max(height, width, 1)
    if factor >= _SHOWS_PIXELS:
        times = math.floor(factor)
        return image.repeat(times, axis=0).repeat(times, axis=1), float(times)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    how = Image.Resampling.BOX if factor < 1 else Image.Resampling.BICUBIC
    return np.array(Image.fromarray(image).resize(size, how)), factor


def captioned(picture: np.ndarray, caption: str, least: int = 160) -> np.ndarray:
    """Put a caption above a picture, which gets a margin if it is narrower than ``least`` pixels."""
    if picture.shape[1] < least:
        picture = _on_paper(picture, picture.shape[0], least)
    sizes = range(_CAPTION, _SMALL_CAPTION, -1)
    fits = (size for size in sizes if text_extent(caption, size)[0] <= picture.shape[1])
    return np.concatenate([strip(caption, picture.shape[1], next(fits, _SMALL_CAPTION)), picture])


def sheet(pictures: Sequence[np.ndarray], columns: int | None = None) -> np.ndarray:
    """Lay pictures out in rows, each column and row as wide and high as it needs.

    Args:
        pictures: (H_i, W_i, 3) uint8, at least one.
        columns: How many; default: as many as rows, or one more.

    Returns:
        (H, W, 3) uint8.
    """
    columns = columns or math.ceil(math.sqrt(len(pictures)))
    rows = [pictures[i : i + columns] for i in range(0, len(pictures), columns)]
    widths = [max(row[i].shape[1] for row in rows if i < len(row)) for i in range(min(columns, len(pictures)))]
    heights = [max(len(picture) for picture in row) for row in rows]
    total = sum(heights) + _GAP * (len(heights) + 1), sum(widths) + _GAP * (len(widths) + 1)
    out = np.full((*total, 3), _PAPER, np.uint8)
    y = _GAP
    for row, height in zip(rows, heights, strict=True):
        x = _GAP
        for picture, width in zip(row, widths, strict=False):
            out[y : y + picture.shape[0], x : x + picture.shape[1]] = picture
            x += width + _GAP
        y += height + _GAP
    return out


def _on_paper(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    out = np.full((height, width, 3), _PAPER, np.uint8)
    out[: picture.shape[0], : picture.shape[1]] = picture
    return out
