"""Boxes drawn on images."""

import colorsys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from rdet.errors import ConfigError, OutputError
from rdet.files import write_whole

_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)


def class_color(label: int) -> tuple[int, int, int]:
    """Return the RGB colour of a class, always the same and unlike those of the classes next to it.

    The hue goes on by the golden ratio, which keeps any number of hues apart; the brightness changes
    every eight classes.
    """
    value = (1.0, 0.7, 0.85)[label // 8 % 3]
    rgb = colorsys.hsv_to_rgb(label * 0.6180339887 % 1, 0.9, value)
    return tuple(round(255 * channel) for channel in rgb)


def draw_boxes(
    image: np.ndarray,
    boxes: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    scores: np.ndarray | None = None,
) -> np.ndarray:
    """Draw boxes with the names of their classes. Line width and text grow with the image.

    Args:
        image: (H, W, 3) uint8 RGB. It stays as it is.
        boxes: (n, 4) xyxy in pixels; array or CPU tensor, like ``labels`` and ``scores``.
        labels: (n,) integers, indices into ``classes``.
        classes: Names.
        scores: (n,) of 0..1, shown with the names. The best box is drawn last, on top.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    boxes = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    labels = np.asarray(labels).astype(int)
    order = range(len(boxes))
    if scores is not None:
        scores = np.asarray(scores, dtype=np.float64)
        order = np.argsort(scores, kind="stable")
    canvas = Image.fromarray(image)
    draw = ImageDraw.Draw(canvas)
    width = max(1, round(max(image.shape[:2]) / 320))
    font = ImageFont.load_default(size=max(10, round(max(image.shape[:2]) / 45)))
    for i in order:
        color = class_color(labels[i])
        x1, y1, x2, y2 = boxes[i]
        draw.rectangle((x1, y1, max(x1, x2), max(y1, y2)), outline=color, width=width)
        text = classes[labels[i]] if scores is None else f"{classes[labels[i]]} {scores[i]:.2f}"
        _write(draw, font, text, (x1, y1), color, canvas.size)
    return np.array(canvas)


def draw_comparison(
    image: np.ndarray, truth: Mapping, predictions: Mapping, classes: Sequence[str], score_thr: float = 0.3
) -> np.ndarray:
    """Draw ground truth and detections side by side.

    Args:
        image: (H, W, 3) uint8 RGB.
        truth: ``bboxes`` (G, 4) in pixels of ``image`` and ``labels`` (G,); for the left half.
        predictions: ``bboxes`` (n, 4), ``labels`` (n,) and ``scores`` (n,); for the right half.
        classes: Names.
        score_thr: Detections of a lower score are left out.

    Returns:
        (H, 2 W + gap, 3) uint8 RGB.
    """
    left = draw_boxes(image, truth["bboxes"], truth["labels"], classes)
    shown = np.asarray(predictions["scores"]) >= score_thr
    boxes, labels, scores = (np.asarray(predictions[key])[shown] for key in ("bboxes", "labels", "scores"))
    right = draw_boxes(image, boxes, labels, classes, scores)
    gap = np.full((image.shape[0], max(4, image.shape[1] // 100), 3), 255, np.uint8)
    return np.concatenate([left, gap, right], axis=1)


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


def _write(draw: ImageDraw.ImageDraw, font, text: str, corner: tuple, color: tuple, image_size: tuple) -> None:
    """Write ``text`` on a plate above ``corner``, or where the image has room for it."""
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    width, height = right - left + 4, bottom - top + 4
    x = min(max(corner[0], 0), max(image_size[0] - width, 0))
    y = min(max(corner[1] - height, 0), max(image_size[1] - height, 0))
    draw.rectangle((x, y, x + width, y + height), fill=color)
    # Perceived brightness, ITU-R BT.601
    bright = np.dot(color, (0.299, 0.587, 0.114)) > 140
    draw.text((x + 2 - left, y + 2 - top), text, fill=_BLACK if bright else _WHITE, font=font)
