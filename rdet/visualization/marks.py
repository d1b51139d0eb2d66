"""Boxes and labels on one image."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rdet.visualization import shapes
from rdet.visualization.canvas import as_rgb, line_width, text_size
from rdet.visualization.colors import BLACK, WHITE, Color, ink_on
from rdet.visualization.placement import place_labels
from rdet.visualization.texts import line_height, plate, shortened, text_extent

_LABELS_SHARE = 0.15  # of the image; labels that would take more are written smaller
_SMALLEST = 0.65  # of the usual size of letters
_LARGE_NUMBER = 1e6


@dataclass(frozen=True)
class Mark:
    """A box and what is written beside it.

    Attributes:
        box: xyxy in pixels.
        color: Of the line, and of the label's plate.
        texts: The label; after it what is written where there is no room for it, ever shorter. None: no label.
        dashed: Whether the line is.
        hatched: Whether the inside is, as that of a region to ignore.
        strong: Whether the line is thick and the label white on black, for what is to be noticed.
    """

    box: tuple[float, float, float, float]
    color: Color
    texts: Sequence[str] = ()
    dashed: bool = False
    hatched: bool = False
    strong: bool = False


def paint(image: np.ndarray, marks: Sequence[Mark]) -> np.ndarray:
    """Draw all boxes, then their labels, beside each other.

    Args:
        image: What :func:`~rdet.visualization.canvas.as_rgb` takes. It stays as it is.
        marks: The last is drawn on top, and is the first to get a label. Those that lie outside of the image, and
            those whose label has no room, are counted in a corner (``+3``).

    Returns:
        (H, W, 3) uint8 RGB.
    """
    picture = as_rgb(image)
    height, width = picture.shape[:2]
    if not marks or not picture.size:
        return picture
    boxes = np.array([mark.box for mark in marks], dtype=np.float64).reshape(-1, 4)
    seen = np.isfinite(boxes).all(axis=1)
    boxes = np.nan_to_num(boxes).clip(-_LARGE_NUMBER, _LARGE_NUMBER)
    boxes[:, 2:] = np.maximum(boxes[:, :2], boxes[:, 2:])
    seen &= ((boxes[:, :2] <= (width, height)) & (boxes[:, 2:] >= 0)).all(axis=1)
    line = line_width(height, width)
    for mark, box in zip(marks, boxes, strict=True):
        if mark.hatched:
            shapes.hatch(picture, box, mark.color, line)
    for mark, box, is_seen in zip(marks, boxes, seen, strict=True):
        if is_seen:
            shapes.frame(picture, box, mark.color, _line_of(mark, box, line), mark.dashed)
    unnamed = _label(picture, marks, boxes, seen, line)
    if unnamed:
        _count(picture, f"+{unnamed}", boxes)
    return picture


def _line_of(mark: Mark, box: np.ndarray, line: int) -> int:
    """Return the width of a box's line; that of a small box is thinner, so that something is seen of what is in it."""
    side = float((box[2:] - box[:2]).min())
    return max(1, min(2 * line if mark.strong else line, round(side / 10)))


def _label(picture: np.ndarray, marks: Sequence[Mark], boxes: np.ndarray, seen: np.ndarray, line: int) -> int:
    """Write the labels, and count the boxes that are not seen or have no room for theirs."""
    height, width = picture.shape[:2]
    named = [i for i in reversed(range(len(marks))) if marks[i].texts and seen[i]]
    size = _letters(picture, [marks[i].texts[0] for i in named])
    most = max(round(0.45 * width), 6 * size)
    texts = [
        list(filter(None, dict.fromkeys(shortened(text, size, most) for text in mark.texts))) if is_seen else []
        for mark, is_seen in zip(marks, seen, strict=True)
    ]
    extents = [[text_extent(text, size) for text in forms] for forms in texts]
    visible = np.concatenate([boxes[:, :2] - 1, boxes[:, 2:] + 2], axis=1).clip(0, (width, height, width, height))
    for index, place in enumerate(place_labels(visible, extents, named, (width, height))):
        if place is not None:
            mark, text = marks[index], texts[index][place.form]
            colors = (BLACK, WHITE) if mark.strong else (mark.color, ink_on(mark.color))
            label = np.array(plate(text, size, *colors))
            if mark.strong:  # whose label it is
                label[-max(2, len(label) // 8) :] = mark.color
            picture[place.y : place.y + label.shape[0], place.x : place.x + label.shape[1]] = label
            named.remove(index)
    return len(named) + int((~seen).sum())


def _letters(picture: np.ndarray, texts: Sequence[str]) -> int:
    """Return the size of the letters of labels: smaller than usual if they would take much of the picture."""
    height, width = picture.shape[:2]
    size = text_size(height, width)
    area = sum(text_extent(text, size)[0] for text in texts) * line_height(size)
    room = _LABELS_SHARE * width * height
    least = min(size, 9 if min(height, width) < 200 else 11)
    return size if area <= room else max(least, round(size * max(_SMALLEST, math.sqrt(room / area))))


def _count(picture: np.ndarray, text: str, boxes: np.ndarray) -> None:
    """Write a number into the corner in which it hides least."""
    height, width = picture.shape[:2]
    label = plate(text, text_size(height, width))[:height, :width]
    h, w = label.shape[:2]
    corners = [(width - w, height - h), (0, height - h), (width - w, 0), (0, 0)]
    hidden = [
        (np.minimum(boxes[:, 2:], (x + w, y + h)) - np.maximum(boxes[:, :2], (x, y))).clip(0).prod(axis=1).sum()
        for x, y in corners
    ]
    x, y = corners[int(np.argmin(hidden))]
    picture[y : y + h, x : x + w] = label
