"""How each class does, and how much objects of each size and in crowded images add."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rdet.analysis.detections.curves import OperatingPoint, ScoreCurves
from rdet.analysis.detections.evaluated import SIZES, Evaluated, known

_AREAS = {"small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, 1e10)}
_CROWDING = (1, 2, 5, 10, 20, 50, 100)  # least number of objects in the images of each group


@dataclass(frozen=True)
class ClassRow:
    """One class.

    Attributes:
        name: Of the class.
        objects: Boxes of the truth, crowds left out.
        ap: At IoU 0.50:0.95; as the other numbers, nan for a class without objects.
        ap50: At IoU 0.50.
        ap75: At IoU 0.75.
        recall: COCO's AR: the largest recall, mean over IoU 0.50:0.95.
        best: The threshold of its best F1.
    """

    name: str
    objects: int
    ap: float
    ap50: float
    ap75: float
    recall: float
    best: OperatingPoint


@dataclass(frozen=True)
class GroupRow:
    """Objects of one size, or of images with so many objects.

    Attributes:
        name: Of the group.
        images: Images that have such objects.
        objects: Boxes of the truth, crowds left out.
        ap: At IoU 0.50:0.95; as the other numbers, nan for a group without objects.
        ap50: At IoU 0.50.
        recall: COCO's AR with all detections.
    """

    name: str
    images: int
    objects: int
    ap: float
    ap50: float
    recall: float


def class_rows(evaluated: Evaluated, curves: ScoreCurves) -> list[ClassRow]:
    """Tabulate the classes, in the order of the truth's categories."""
    precision, recall = evaluated.precision[:, :, :, 0, -1], evaluated.recall[:, :, 0, -1]
    return [
        ClassRow(
            name,
            int(evaluated.objects[label]),
            float(precision[:, :, label].mean()),
            float(precision[0, :, label].mean()),
            float(precision[5, :, label].mean()),
            float(recall[:, label].mean()),
            curves.best(label),
        )
        for label, name in enumerate(evaluated.truth.classes)
    ]


def size_rows(evaluated: Evaluated) -> list[GroupRow]:
    """Tabulate small, medium and large objects, by the truth's areas and COCO's limits of 32² and 96² pixels."""
    rows = []
    for name, (low, high) in _AREAS.items():
        area = SIZES.index(name)
        precision, recall = evaluated.precision[:, :, :, area, -1], evaluated.recall[:, :, area, -1]
        objects = [a for a in evaluated.truth.dataset["annotations"] if not a["iscrowd"] and low <= a["area"] <= high]
        images = len({a["image_id"] for a in objects})
        rows.append(GroupRow(name, images, len(objects), _mean(precision), _mean(precision[0]), _mean(recall)))
    return rows


def crowding_rows(evaluated: Evaluated) -> list[GroupRow]:
    """Tabulate the images by the number of their objects; a group's AP is that of its images alone."""
    counts = {number: sum(not box["iscrowd"] for box in boxes) for number, boxes in evaluated.truth.boxes.items()}
    groups = {}
    for name, low, high in _ranges(_CROWDING):
        members = [number for number, count in counts.items() if low <= count < high]
        if members:
            groups[name] = members
    metrics = evaluated.evaluation.slice_by(groups) if groups else {}
    recall = f"AR{evaluated.max_dets}"
    return [
        GroupRow(
            name,
            len(members),
            sum(counts[number] for number in members),
            *(known(metrics[name].get(key, -1.0)) for key in ("AP", "AP50", recall)),
        )
        for name, members in groups.items()
    ]


def _ranges(limits: Sequence[int]) -> list[tuple[str, int, float]]:
    """Name the ranges between limits: ``2–4``, 2, 5."""
    ends = [*limits[1:], math.inf]
    return [(_range_name(low, high), low, high) for low, high in zip(limits, ends, strict=True)]


def _range_name(low: int, high: float) -> str:
    if high == math.inf:
        return f"{low} or more"
    return f"{low}" if high == low + 1 else f"{low}–{int(high) - 1}"


def _mean(values: np.ndarray) -> float:
    return float(np.nanmean(values)) if not np.isnan(values).all() else float("nan")
