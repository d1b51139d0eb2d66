"""Truth and detections side by side, with what was missed and what is false.

G objects and n detections of an image, I regions to ignore.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torchvision.ops import box_iou

from rdet.structures.boxes import box_coverage
from rdet.visualization.canvas import as_rgb, enlarged, enlargement, text_size
from rdet.visualization.colors import GREY, class_color
from rdet.visualization.marks import Mark, paint
from rdet.visualization.names import boxes_of, names_in_pictures, short_names
from rdet.visualization.texts import strip

IOU_THR = 0.5


class Outcome(NamedTuple):
    """What became of the objects and detections of an image.

    Attributes:
        found: (G,) bool, objects that a detection is matched to.
        right: (n,) bool, detections that are matched to an object.
        ignored: (n,) bool, those of the others that lie in a region to ignore.
    """

    found: np.ndarray
    right: np.ndarray
    ignored: np.ndarray


def match_by_class(truth: Mapping, predictions: Mapping, iou_thr: float = IOU_THR) -> Outcome:
    """Match detections, the best score first, each to the object of its class that it overlaps most and that is free.

    What is left and has half of its area in a region to ignore counts for nothing, as in COCO's rules.

    Args:
        truth: ``bboxes`` (G, 4), ``labels`` (G,) and perhaps ``ignored`` (I, 4).
        predictions: ``bboxes`` (n, 4), ``labels`` (n,) and ``scores`` (n,).
        iou_thr: Least IoU of a match.
    """
    objects, regions = (torch.from_numpy(boxes_of(truth.get(key))) for key in ("bboxes", "ignored"))
    boxes = torch.from_numpy(boxes_of(predictions["bboxes"]))
    same = np.asarray(predictions["labels"])[:, None] == np.asarray(truth["labels"])[None]
    overlaps = np.where(same, np.nan_to_num(box_iou(boxes, objects).numpy()), 0.0)  # (n, G)
    found, right = np.zeros(len(objects), bool), np.zeros(len(boxes), bool)
    for index in np.argsort(-np.asarray(predictions["scores"], dtype=np.float64), kind="stable"):
        free = np.where(found, 0.0, overlaps[index])
        if free.size and free.max() >= iou_thr:
            found[free.argmax()] = right[index] = True
    inside = (box_coverage(boxes, regions) >= 0.5).any(dim=0).numpy()
    return Outcome(found, right, inside & ~right)


def draw_comparison(
    image: np.ndarray, truth: Mapping, predictions: Mapping, classes: Sequence[str], score_thr: float = 0.3
) -> np.ndarray:
    """Draw ground truth and detections side by side, and mark what was missed and what is a false alarm.

    Args:
        image: As :func:`~rdet.visualization.draw.draw_boxes` takes it.
        truth: ``bboxes`` (G, 4) in pixels of ``image``, ``labels`` (G,) and perhaps ``ignored`` (I, 4), regions that
            are neither object nor background; for the left half.
        predictions: ``bboxes`` (n, 4), ``labels`` (n,) and ``scores`` (n,); for the right half.
        classes: Names.
        score_thr: Detections of a lower score are left out.

    Returns:
        (H + h, 2 W + gap, 3) uint8 RGB: the titles of both halves, the two, and the rule by which they are matched. An
        image below 300 pixels is enlarged by a whole number.
    """
    image = as_rgb(image)
    factor = enlargement(*image.shape[:2])
    image = enlarged(image, factor)
    shown = np.asarray(predictions["scores"], dtype=np.float64).reshape(-1) >= score_thr
    found = {key: np.asarray(predictions[key])[shown] for key in ("bboxes", "labels", "scores")}
    outcome = match_by_class(truth, found)
    names = names_in_pictures(classes)
    named = list(zip(names, short_names(names), strict=True))
    regions = [Mark(tuple(box), GREY, hatched=True, dashed=True) for box in factor * boxes_of(truth.get("ignored"))]
    objects = [
        _mark(box, label, named[label], "", "" if is_found else "missed")
        for box, label, is_found in zip(
            factor * boxes_of(truth["bboxes"]), np.asarray(truth["labels"]).astype(int), outcome.found, strict=True
        )
    ]
    detected = [
        _mark(box, label, named[label], f" {score:.2f}", "" if right or ignored else "false", dashed=bool(ignored))
        for box, label, score, right, ignored in zip(
            factor * boxes_of(found["bboxes"]),
            found["labels"].astype(int),
            found["scores"],
            outcome.right,
            outcome.ignored,
            strict=True,
        )
    ]
    left = paint(image, [*regions, *_noticed_last(objects)])
    best_last = [detected[i] for i in np.argsort(found["scores"], kind="stable")]
    right = paint(image, [*regions, *_noticed_last(best_last)])
    size = text_size(*left.shape[:2])
    gap = np.full((left.shape[0], max(4, left.shape[1] // 100), 3), 255, np.uint8)
    missed, false = int((~outcome.found).sum()), int((~outcome.right & ~outcome.ignored).sum())
    numbers = (
        f"{_count(len(objects), 'object')}, {missed} missed",
        f"{_count(len(detected), 'detection')}, {false} false",
    )
    titles = [
        strip(f"truth: {numbers[0]}", left.shape[1], size),
        strip(f"score {score_thr:g} or more: {numbers[1]}", left.shape[1], size),
    ]
    tallest = max(map(len, titles))
    titles = [np.concatenate([np.repeat(t[:1], tallest - len(t), axis=0), t]) for t in titles]
    head = np.concatenate([titles[0], np.full((tallest, gap.shape[1], 3), 255, np.uint8), titles[1]], axis=1)
    halves = np.concatenate([left, gap, right], axis=1)
    return np.concatenate([head, halves, strip(_rule(bool(regions)), halves.shape[1], size)])


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _rule(with_regions: bool) -> str:
    rule = (
        f"Found: a detection of the same class overlaps the object by IoU {IOU_THR} or more, best score first. "
        "Thick lines and black labels: missed objects, false detections."
    )
    return f"{rule} Hatched: ignored, as are detections in it (dashed)." if with_regions else rule


def _mark(box: np.ndarray, label: int, name: tuple[str, str], score: str, wrong: str, dashed: bool = False) -> Mark:
    """Make the mark of an object or detection, named long and short; ``wrong`` says what is wrong, if anything."""
    before = f"{wrong}: " if wrong else ""
    texts = (f"{before}{name[0]}{score}", f"{before}{name[1]}", wrong or name[1])
    return Mark(tuple(box), class_color(label), texts, dashed=dashed, strong=bool(wrong))


def _noticed_last(marks: list[Mark]) -> list[Mark]:
    """Order marks so that those to be noticed are on top, and named first."""
    return sorted(marks, key=lambda mark: mark.strong)
