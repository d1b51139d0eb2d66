"""Images as part of a page, with boxes over them that the page can show and hide."""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from rdet.analysis.detections.images import Box
from rdet.datasets.images import read_image
from rdet.errors import BadImageError

LONGEST = 640  # pixels of the longer side
_SHORTEST = 160  # to which it is made smaller where a page has many pictures
_QUALITIES = (82, 70, 55, 40)  # of JPEG, in the order of trial
MOST_BYTES = 90_000  # of one picture
_OF_ALL = 6_000_000  # bytes of the pictures of a page, which become a third more as text: it shall go through mail


@dataclass(frozen=True)
class Picture:
    """An image in a page.

    Attributes:
        width: In pixels, as ``height``.
        height: In pixels.
        scale: How many of its pixels are one of the image.
        data: A ``data:`` address of a JPEG; None where the image is not there.
    """

    width: int
    height: int
    scale: float
    data: str | None

    def place(self, boxes: Iterable[Box], classes: Sequence[str]) -> list[dict[str, object]]:
        """Return boxes in pixels of the picture, large ones first, with what to write of them."""
        largest_first = sorted(boxes, key=lambda box: -box.xywh[2] * box.xywh[3])
        return [
            {
                "x": round(box.xywh[0] * self.scale, 1),
                "y": round(box.xywh[1] * self.scale, 1),
                "w": round(max(box.xywh[2], 0) * self.scale, 1),
                "h": round(max(box.xywh[3], 0) * self.scale, 1),
                "kind": box.kind,
                "text": classes[box.label] + ("" if box.score is None else f" {box.score:.2f}"),
            }
            for box in largest_first
        ]


def bytes_of_each(number: int) -> int:
    """Return how many bytes each of several pictures of a page may have."""
    return min(MOST_BYTES, _OF_ALL // max(number, 1))


def picture(path: Path | None, size: tuple[float, float] | None = None, most_bytes: int = MOST_BYTES) -> Picture:
    """Read an image and make it small: first of lower quality, then of fewer pixels.

    Args:
        path: Its file; None: it is not known.
        size: Width and height of the image, where its file is not there.
        most_bytes: Of the JPEG, unless its longer side has come down to 160 pixels.
    """
    try:
        image = None if path is None else read_image(path)
    except (BadImageError, OSError):
        image = None
    if image is None:
        width, height = size or (LONGEST, LONGEST * 3 / 4)
        scale = min(1.0, LONGEST / max(width, height, 1))
        return Picture(max(1, round(width * scale)), max(1, round(height * scale)), scale, None)
    height, width = image.shape[:2]
    longest = LONGEST
    while True:
        scale = min(1.0, longest / max(width, height))
        new = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = image if scale == 1 else cv2.resize(image, new, interpolation=cv2.INTER_AREA)
        data = _jpeg(small, most_bytes)
        if len(data) <= most_bytes or longest <= _SHORTEST:
            address = "data:image/jpeg;base64," + base64.b64encode(data).decode()
            return Picture(*new, scale, address)
        longest = longest * 3 // 4


def _jpeg(image: np.ndarray, most_bytes: int) -> bytes:
    """Encode a picture in the best quality that fits, or else in the least."""
    for quality in _QUALITIES:
        data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
        if len(data) <= most_bytes:
            break
    return data
