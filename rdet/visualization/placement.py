"""Where labels go: beside their boxes, off each other, and off what is small.

n boxes, C places that a label may have.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

_HIDDEN = 0.25  # share of a box that labels may hide
_COVERED = 0.3  # share of the image that labels may take together


class Place(NamedTuple):
    """Where a label stands.

    Attributes:
        form: Which of the label's forms it is.
        x, y: Its upper left corner, in pixels.
    """

    form: int
    x: int
    y: int


def place_labels(
    boxes: np.ndarray,
    forms: Sequence[Sequence[tuple[int, int]]],
    order: Iterable[int],
    image_size: tuple[int, int],
    gap: int = 1,
) -> list[Place | None]:
    """Find a place for the label of each box.

    No label lies on another one, and all together hide at most a quarter of any box: a small object stays to be seen.

    Args:
        boxes: (n, 4) xyxy in pixels, what is seen of them.
        forms: For each box the (width, height) of its label, the best form first; those after it are shorter.
        order: The boxes, those first whose labels matter most.
        image_size: (width, height).
        gap: Pixels between two labels.

    Returns:
        The place of each label, None where there is no room.
    """
    places: list[Place | None] = [None] * len(boxes)
    areas = np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), 1.0)
    hidden = np.zeros(len(boxes))
    taken = np.empty((0, 4))
    room = _COVERED * image_size[0] * image_size[1]
    for index in order:
        reach = np.max(forms[index], axis=0, initial=0) + gap if len(forms[index]) else 0
        around = np.concatenate([boxes[index, :2] - reach, boxes[index, 2:] + reach])[None]
        near = np.flatnonzero(_overlap(around, boxes, gap=1)[0] > 0)  # what a label here can hide
        close = taken[_overlap(around, taken)[0] > 0]
        for form, size in enumerate(forms[index]):
            label_area = size[0] * size[1]
            if label_area > room:
                continue
            spots = _spots(boxes[index], size, image_size)  # (C, 4)
            free = ~(_overlap(spots, close, gap) > 0).any(axis=1)
            hides = _overlap(spots, boxes[near]) / areas[near]  # (C, the near ones)
            fits = free & ((hides == 0) | (hidden[near] + hides <= _HIDDEN)).all(axis=1)
            if not fits.any():
                continue
            cost = np.where(fits, hides.sum(axis=1) - 0.5 * hides[:, near == index].sum(axis=1), np.inf)
            best = int((3 * cost + 0.01 * np.arange(len(cost))).argmin())
            if fits[best]:
                hidden[near] += hides[best]
                taken = np.concatenate([taken, spots[best : best + 1]])
                room -= label_area
                places[index] = Place(form, int(spots[best, 0]), int(spots[best, 1]))
                break
    return places


def _spots(box: np.ndarray, size: tuple[int, int], image_size: tuple[int, int]) -> np.ndarray:
    """Return the places (C, 4) of a label that touch its box and lie in the image, the most usual first."""
    (x1, y1, x2, y2), (width, height) = box, size
    along = [x1, x2 - width, (x1 + x2 - width) / 2, (3 * x1 + x2 - width) / 4, (x1 + 3 * (x2 - width)) / 4]
    spots = [(x, y1 - height) for x in along]
    spots += [(x, y2) for x in along]
    spots += [(x1, y1), (x2 - width, y1), (x1, y2 - height), (x2 - width, y2 - height)]
    spots += [(x2, y1), (x2, y2 - height), (x1 - width, y1), (x1 - width, y2 - height)]
    corners = np.round(np.array(spots))
    most = np.array(image_size) - size
    if (most < 0).any():
        return np.empty((0, 4))
    # Those above and below may slide along their edge, those beside up and down; none may be pushed onto its box.
    moved = corners.clip(0, most)
    stays = np.ones(len(corners), bool)
    stays[:10] = moved[:10, 1] == corners[:10, 1]
    stays[10:14] = (moved[10:14] == corners[10:14]).all(axis=1)
    stays[14:] = moved[14:, 0] == corners[14:, 0]
    moved = moved[stays]
    return np.concatenate([moved, moved + size], axis=1)


def _overlap(spots: np.ndarray, boxes: np.ndarray, gap: int = 0) -> np.ndarray:
    """Compute the area (C, n) that places (C, 4) and boxes (n, 4) grown by ``gap`` have in common."""
    low = np.maximum(spots[:, None, :2], boxes[None, :, :2] - gap)
    high = np.minimum(spots[:, None, 2:], boxes[None, :, 2:] + gap)
    common: np.ndarray = (high - low).clip(min=0).prod(axis=2)
    return common
