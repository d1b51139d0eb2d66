"""Assigned priors on an image.

P positives, M ignored priors, G objects.
"""

import numpy as np

from rdet.visualization import shapes
from rdet.visualization.canvas import as_rgb, line_width
from rdet.visualization.colors import GREY, class_color

_MOST_BOXES = 24  # priors of a level that are drawn as boxes; of more, only the centres can be told apart


def draw_priors(
    image: np.ndarray,
    boxes: np.ndarray,
    labels: np.ndarray,
    positives: np.ndarray,
    objects: np.ndarray,
    ignored: np.ndarray,
) -> np.ndarray:
    """Draw the priors of a level: positives in the colour of the class that they are trained on, ignored ones grey.

    Args:
        image: (H, W, 3) uint8 RGB. It stays as it is.
        boxes: (G, 4) xyxy, the objects, whose frames are drawn.
        labels: (G,) their classes.
        positives: (P, 4) xyxy.
        objects: (P,) which object each belongs to.
        ignored: (M, 4) xyxy.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    picture = (as_rgb(image) // 2) + 64  # pale, so that dots are seen
    line = line_width(*picture.shape[:2])
    shapes.dots(picture, centers(ignored), max(1, line), GREY)
    for box, label in zip(boxes, labels, strict=True):
        shapes.frame(picture, box, class_color(int(label)), line, dashed=False)
    for prior, owner in zip(positives if len(positives) <= _MOST_BOXES else [], objects, strict=False):
        shapes.frame(picture, prior, class_color(int(labels[owner])), 1, dashed=True)
    for label in np.unique(labels[objects]) if len(objects) else []:
        shapes.dots(picture, centers(positives[labels[objects] == label]), line + 1, class_color(int(label)))
    return picture


def centers(boxes: np.ndarray) -> np.ndarray:
    """Return the centres (n, 2) of boxes (n, 4)."""
    return (boxes[:, :2] + boxes[:, 2:]) / 2
