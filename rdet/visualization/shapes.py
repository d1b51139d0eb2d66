"""Lines of boxes, drawn into an array (H, W, 3) uint8."""

import numpy as np

from rdet.visualization.colors import Color, halo_of

_DOT = 4  # pixels of the smallest mark


def fill(picture: np.ndarray, x1: int, y1: int, x2: int, y2: int, color: Color) -> None:
    """Fill a rectangle, its last row and column included, as far as it lies in the picture."""
    picture[max(y1, 0) : max(y2 + 1, 0), max(x1, 0) : max(x2 + 1, 0)] = color


def frame(picture: np.ndarray, box: np.ndarray, color: Color, width: int, dashed: bool) -> None:
    """Draw the frame of a box within its corners, and a thin halo outside of a thick line. A box without area is a dot.

    Args:
        picture: (H, W, 3) uint8, which is changed.
        box: (4,) xyxy.
        color: Of the line.
        width: Of the line, in pixels.
        dashed: Whether it is; what is between the dashes has the colour of the halo, so that it is seen on any image.
    """
    height, length = picture.shape[:2]
    far = 4 * width + 8
    x1, y1, x2, y2 = (int(v) for v in np.round(box).clip(-far, np.array([length, height, length, height]) + far))
    if max(x2 - x1, y2 - y1) < _DOT and min(x2 - x1, y2 - y1) < 2:
        _dot(picture, x1, y1, max(_DOT // 2, width), color)
        return
    if width > 1 and not dashed:
        _lines(picture, (x1 - 1, y1 - 1, x2 + 1, y2 + 1), halo_of(color), 1)
    _lines(picture, (x1, y1, x2, y2), halo_of(color) if dashed else color, width)
    if dashed:
        dash, step = 5 * width, 8 * width
        for x in range(x1, x2 + 1, step):
            end = min(x + dash, x2)
            fill(picture, x, y1, end, y1 + width - 1, color)
            fill(picture, x, y2 - width + 1, end, y2, color)
        for y in range(y1, y2 + 1, step):
            end = min(y + dash, y2)
            fill(picture, x1, y, x1 + width - 1, end, color)
            fill(picture, x2 - width + 1, y, x2, end, color)


def hatch(picture: np.ndarray, box: np.ndarray, color: Color, width: int) -> None:
    """Draw slanted lines, each of a light and a dark half, over what the picture has of a box (4,) xyxy."""
    height, length = picture.shape[:2]
    x1, y1, x2, y2 = (int(v) for v in np.round(box).clip(0, (length, height, length, height)))
    thickness = max(1, round(width / 2))
    place = (np.arange(y1, y2)[:, None] + np.arange(x1, x2)) % max(10, 7 * width)  # of the lines x + y = constant
    inside = picture[y1:y2, x1:x2]
    inside[place < thickness] = color
    inside[(place >= thickness) & (place < 2 * thickness)] = halo_of(color)


def _lines(picture: np.ndarray, box: tuple[int, int, int, int], color: Color, width: int) -> None:
    x1, y1, x2, y2 = box
    fill(picture, x1, y1, x2, min(y1 + width - 1, y2), color)
    fill(picture, x1, max(y2 - width + 1, y1), x2, y2, color)
    fill(picture, x1, y1, min(x1 + width - 1, x2), y2, color)
    fill(picture, max(x2 - width + 1, x1), y1, x2, y2, color)


def dots(picture: np.ndarray, centers: np.ndarray, radius: int, color: Color) -> None:
    """Draw a dot with a halo at each of (n, 2) points."""
    for x, y in np.round(centers).astype(int):
        _dot(picture, int(x), int(y), radius, color)


def _dot(picture: np.ndarray, x: int, y: int, radius: int, color: Color) -> None:
    x1, y1 = max(x - radius - 1, 0), max(y - radius - 1, 0)
    inside = picture[y1 : max(y + radius + 2, 0), x1 : max(x + radius + 2, 0)]
    if not inside.size:
        return
    rows, columns = np.arange(y1, y1 + inside.shape[0]), np.arange(x1, x1 + inside.shape[1])
    away = (rows[:, None] - y) ** 2 + (columns - x) ** 2
    inside[away <= (radius + 1) ** 2] = halo_of(color)
    inside[away <= radius**2] = color
