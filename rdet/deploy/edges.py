"""Where rounding decides what is detected."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from mmengine.structures import InstanceData
from torch import Tensor
from torchvision.ops import box_iou

from rdet.models.detectors.one_stage_detector import OneStageDetector

BOX_TOLERANCE, SCORE_TOLERANCE = 0.05, 1e-3
# Of an overlap, so near its threshold that rounding decides.
_NEAR = 1e-3


@dataclass(frozen=True)
class Edges:
    """Where rounding decides.

    Attributes:
        score_thr, max_per_img, iou_threshold: Of the suppression; ``iou_threshold`` None: it has none.
        class_agnostic: Whether boxes of different classes compete.
        scores, boxes: Tolerances.
    """

    score_thr: float
    max_per_img: int
    iou_threshold: float | None
    class_agnostic: bool
    scores: float = SCORE_TOLERANCE
    boxes: float = BOX_TOLERANCE

    @classmethod
    def of(cls, model: OneStageDetector, boxes: float, scores: float) -> "Edges":
        """Take them from a detector."""
        rule = model.postprocess
        overlap = getattr(rule, "iou_threshold", None)
        return cls(rule.score_thr, rule.max_per_img, overlap, rule.class_agnostic, scores, boxes)


def excused_by(
    lonely: Sequence[InstanceData],
    there: Sequence[InstanceData],
    edges: Edges,
    candidates: InstanceData | None = None,
) -> list[Tensor]:
    """Tell which detections that only one of two has, rounding may have kept out of the other.

    Args:
        lonely: Those of the detector and of the file.
        there: All of the file, and of the detector.
        edges: Where rounding decides.
        candidates: Of the detector; None: not known.

    Returns:
        Of the detector and of the file, (n,) bool.
    """
    excused = [_at_an_edge(alone, found, edges) for alone, found in zip(lonely, there, strict=True)]
    if candidates is not None:
        same = [_same(alone, candidates, edges) for alone in lonely]  # (n, c) each
        excused = [known | (of & candidates.at_cut).any(dim=1) for known, of in zip(excused, same, strict=True)]
        if edges.iou_threshold is not None:
            # The detector has it, too, and drops it for one that scores no more but for rounding.
            over = _rivalry(lonely[1], there[1], edges) > edges.iou_threshold
            equal = there[1].scores[None] - lonely[1].scores[:, None] <= edges.scores
            excused[1] = excused[1] | (same[1].any(dim=1) & (over & equal).any(dim=1))
    if edges.iou_threshold is None:
        return excused
    over = _rivalry(lonely[0], lonely[1], edges) > edges.iou_threshold  # (n, m)
    better = lonely[0].scores[:, None] - lonely[1].scores[None]
    # What stays at an edge may drop another, which the other side has.
    first, second = over & (better <= edges.scores), (over & (better >= -edges.scores)).T
    for _ in range(len(lonely[0]) + len(lonely[1])):
        excused = [excused[0] | (first & excused[1]).any(dim=1), excused[1] | (second & excused[0]).any(dim=1)]
    return excused


def _same(first: InstanceData, second: InstanceData, edges: Edges) -> Tensor:
    """Tell which are the same but for rounding: (n, m) bool."""
    boxes = torch.cdist(first.bboxes.double(), second.bboxes.double(), p=math.inf) <= edges.boxes
    scores = (first.scores[:, None] - second.scores[None]).abs() <= edges.scores
    return boxes & scores & (first.labels[:, None] == second.labels[None])


def _at_an_edge(alone: InstanceData, there: InstanceData, edges: Edges) -> Tensor:
    """Tell which of some detections are at a threshold, given those on the other side: (n,) bool."""
    scores = alone.scores
    found = (scores - edges.score_thr).abs() <= edges.scores if edges.score_thr > 0 else torch.zeros(len(scores)).bool()
    if len(there) >= edges.max_per_img:
        found = found | (scores <= there.scores.min() + edges.scores)
    if edges.iou_threshold is None:
        return found
    near = (_rivalry(alone, there, edges) - edges.iou_threshold).abs() <= _NEAR
    return found | (near & (there.scores[None] >= scores[:, None] - edges.scores)).any(dim=1)


def _rivalry(first: InstanceData, second: InstanceData, edges: Edges) -> Tensor:
    """Compute the overlaps of those that compete, (n, m); else -1."""
    overlaps = box_iou(first.bboxes.double(), second.bboxes.double())
    compete = first.labels[:, None] == second.labels[None]
    return overlaps if edges.class_agnostic else overlaps.where(compete, -1.0)
