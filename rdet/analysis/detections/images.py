"""How each image does at one threshold of the score, and on which two detectors differ."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rdet.analysis.detections.evaluated import IOU, Evaluated


@dataclass(frozen=True)
class Box:
    """A box as it is shown.

    Attributes:
        xywh: x, y, width, height in pixels of the image.
        label: Position of its class.
        kind: ``right`` or ``false`` of a detection, ``found`` or ``missed`` of an object, ``ignored`` of either that
            does not count.
        score: Of a detection; None of an object.
    """

    xywh: tuple[float, float, float, float]
    label: int
    kind: str
    score: float | None = None


@dataclass(frozen=True)
class ImageResult:
    """What is right and wrong in one image.

    Attributes:
        number: Of the image in the truth.
        right, false, missed: Numbers of right and false detections and of missed objects.
        objects: Boxes of the truth.
        detections: Those of at least the threshold, best first.
    """

    number: int
    right: int
    false: int
    missed: int
    objects: Sequence[Box]
    detections: Sequence[Box]

    @property
    def mistakes(self) -> int:
        return self.false + self.missed

    @property
    def f1(self) -> float:
        """1 where there is nothing to find and nothing was found."""
        return 2 * self.right / (2 * self.right + self.mistakes) if self.right or self.mistakes else 1.0


def image_results(evaluated: Evaluated, threshold: float) -> dict[int, ImageResult]:
    """Judge the detections of at least a score in each image, at an IoU of 0.5.

    Returns:
        Number of the image -> its result.
    """
    rows = evaluated.detections.rows
    rows = rows[rows[:, 5] >= threshold] if np.isfinite(threshold) else rows[:0]
    found = evaluated.evaluate(rows).image_diagnostics(iou_thr=IOU)
    kinds = {"tp": "right", "fp": "false"}
    detections: dict[int, list[Box]] = {number: [] for number in evaluated.truth.images}
    for index in np.argsort(-rows[:, 5], kind="stable"):
        row, kind = rows[index].tolist(), kinds.get(found["dt_status"].get(int(index) + 1), "ignored")
        detections[int(row[0])].append(Box(tuple(row[1:5]), int(row[6]) - 1, kind, row[5]))
    kinds = {"matched": "found", "fn": "missed"}
    results = {}
    for number, boxes in evaluated.truth.boxes.items():
        objects = [
            Box(
                tuple(box["bbox"]),
                box["category_id"] - 1,
                "ignored" if box["iscrowd"] else kinds.get(found["gt_status"].get(box["id"]), "ignored"),
            )
            for box in boxes
        ]
        counts = (sum(box.kind == kind for box in detections[number]) for kind in ("right", "false"))
        missed = sum(box.kind == "missed" for box in objects)
        results[number] = ImageResult(number, *counts, missed, objects, detections[number])
    return results


def worst(results: dict[int, ImageResult], number: int) -> list[ImageResult]:
    """Return the images of the lowest F1 that have mistakes, those with most mistakes first among equals."""
    wrong = [result for result in results.values() if result.mistakes]
    return sorted(wrong, key=lambda result: (result.f1, -result.mistakes, result.number))[:number]


def most_different(first: dict[int, ImageResult], second: dict[int, ImageResult], number: int) -> list[int]:
    """Return the images whose F1 differs most between two detectors, or among equals their number of mistakes."""

    def difference(image: int) -> tuple[float, int]:
        one, other = first[image], second[image]
        return abs(one.f1 - other.f1), abs(one.mistakes - other.mistakes)

    differing = [image for image in first if difference(image) != (0.0, 0)]
    return sorted(differing, key=lambda image: (*(-value for value in difference(image)), image))[:number]
