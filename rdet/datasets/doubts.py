"""What annotations look like when they are not what their format says."""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from rdet.datasets.annotations import Annotations
from rdet.messages import few

_FEWEST = 8  # boxes of which a rule can be told
_MANY = 0.2  # share of boxes beyond their images, which files of mistakes alone do not have
_NEARLY_ALL = 0.99
_SLACK = 1.0  # pixels by which a box may be out


def doubts_about(annotations: Annotations) -> Iterator[str]:
    """Say in what way boxes and images are probably not as they are read: one sentence each, with what to do."""
    names = Counter(image["file_name"] for image in annotations.images)
    if twice := [name for name, count in names.items() if count > 1]:
        yield f"{len(twice)} images are listed more than once ({few(twice, 3)}): give each one id, with all its boxes"
    if len(annotations.bboxes):
        sizes = np.array([(image["width"], image["height"]) for image in annotations.images], dtype=np.float64)
        yield from _doubts_about_boxes(annotations.bboxes, sizes[annotations.image_index])


def _doubts_about_boxes(boxes: np.ndarray, sizes: np.ndarray) -> Iterator[str]:
    """Say what is odd about x, y, width and height (B, 4) in images of widths and heights (B, 2)."""
    first, second = boxes[:, :2], boxes[:, 2:]
    if boxes.max() <= 1 and sizes.min() > 2 * _SLACK:
        yield "all boxes lie within one pixel, so they are probably fractions of the image: multiply them by its size"
        return
    beyond = ~_within(first, first + second, sizes)
    if len(boxes) < _FEWEST or beyond.mean() < _MANY:
        return
    readings = {
        "corners x1, y1, x2, y2": (first, second, sizes),
        "the centre, width and height": (first - second / 2, first + second / 2, sizes),
        "a corner x1, y1 with width and height in the other's place": (first, first + first + second, sizes),
        "y, x, height, width": (first, first + second, sizes[:, ::-1]),
    }
    share = f"{int(beyond.sum())} of {len(boxes)} boxes have no area or reach beyond their images"
    for what, reading in readings.items():
        if _within(*reading).mean() >= _NEARLY_ALL:
            yield f"{share}, and as {what} they would fit: write them as the format has them"
            return
    yield f"{share}: are width and height of the images right, and boxes in their pixels?"


def _within(first: np.ndarray, last: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Tell which boxes with these corners (B, 2) have an area and lie in their image, (B,) bool."""
    return ((first >= -_SLACK) & (last > first) & (last <= sizes + _SLACK)).all(axis=1)
