"""Boxes drawn on images, and pictures written to files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from rdet.errors import ConfigError, OutputError
from rdet.files import write_whole
from rdet.visualization.colors import GREY, class_color
from rdet.visualization.comparison import draw_comparison
from rdet.visualization.marks import Mark, paint
from rdet.visualization.names import boxes_of, names_in_pictures, short_names

__all__ = ["class_color", "draw_boxes", "draw_comparison", "save_image"]


def draw_boxes(
    image: np.ndarray,
    boxes: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    scores: np.ndarray | None = None,
    ignored: np.ndarray | None = None,
) -> np.ndarray:
    """Draw boxes, then the names of their classes beside each other. Lines and letters follow the image's size.

    Names that have no room are shortened, or left out and counted in a corner (``+3``), as are boxes outside of the
    image.

    Args:
        image: (H, W), or (H, W, N) of which three channels are RGB; not only uint8. It stays as it is.
        boxes: (n, 4) xyxy in pixels; array or CPU tensor, like ``labels`` and ``scores``.
        labels: (n,) integers, indices into ``classes``.
        classes: Names.
        scores: (n,) of 0..1, shown with the names. The best box is drawn last, on top.
        ignored: (I, 4) regions that are neither object nor background, drawn hatched.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    boxes = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    labels = np.asarray(labels).astype(int).reshape(-1)
    names = names_in_pictures(classes)
    short = short_names(names)
    marks = [Mark(tuple(box), GREY, hatched=True, dashed=True) for box in boxes_of(ignored)]
    if scores is None:  # the smallest on top, and named first
        order = np.argsort(-(boxes[:, 2:] - boxes[:, :2]).clip(0).prod(axis=1), kind="stable")
        texts = [(names[label],) for label in labels]
    else:
        scores = np.asarray(scores, dtype=np.float64)
        order = np.argsort(scores, kind="stable")
        texts = [(f"{names[i]} {score:.2f}", names[i]) for i, score in zip(labels, scores, strict=True)]
    marks += [Mark(tuple(boxes[i]), class_color(labels[i]), (*texts[i], short[labels[i]])) for i in order]
    return paint(image, marks)


def save_image(path: str | Path, image: np.ndarray) -> None:
    """Write an (H, W, 3) uint8 RGB image; the suffix says the format. Folders are made.

    Raises:
        ConfigError: There is no such format.
        OutputError: It has no such sizes, or the file cannot be written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = Image.registered_extensions().get(path.suffix.lower())
    if kind is None:
        raise ConfigError(f"{path}: no picture can be written by the suffix {path.suffix!r}; take .png or .jpg")
    try:
        write_whole(path, lambda part: Image.fromarray(image).save(part, format=kind), flush=False)
    except ValueError as error:
        raise OutputError(f"{path}: no {kind} of this size can be written ({error}); name it .png") from error
