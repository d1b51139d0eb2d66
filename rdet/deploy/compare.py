"""Whether an exported file finds what the detector finds."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.dataset import pseudo_collate
from mmengine.structures import InstanceData
from torch import Tensor
from torchvision.ops import box_iou

from rdet.deploy.exported_detector import ExportedDetector
from rdet.errors import EvaluationError
from rdet.models.detectors.one_stage_detector import OneStageDetector
from rdet.structures import DetDataSample

BOX_TOLERANCE, SCORE_TOLERANCE = 0.05, 1e-3
# Of an overlap, so near its threshold that rounding decides.
_NEAR = 1e-3


@dataclass
class Difference:
    """How far the detections of a file are from those of the detector.

    Attributes:
        boxes: Largest difference of a coordinate, in pixels of the original image.
        scores: Largest difference of a score.
        found: Detections that were compared.
        on_the_edge: Detections that only one has since rounding decides: at the threshold of the score or of the
            overlap, or the last that an image may have.
        unlike: Detections that only one has, for no such reason.
        where: Image -> what is unlike in it.
    """

    boxes: float = 0.0
    scores: float = 0.0
    found: int = 0
    on_the_edge: int = 0
    unlike: int = 0
    where: list[str] = field(default_factory=list)

    def is_within(self, boxes: float, scores: float) -> bool:
        """Tell whether it is below tolerances, in pixels and in scores."""
        few = self.on_the_edge <= 2 + self.found / 10  # more are no matter of rounding
        return self.boxes <= boxes and self.scores <= scores and not self.unlike and few

    def __str__(self) -> str:
        text = f"largest difference of {self.found} detections: boxes {self.boxes:.2g} px, scores {self.scores:.2g}"
        if self.on_the_edge:
            text += f"; {self.on_the_edge} at a threshold, where rounding decides"
        return text + (f"; {self.unlike} that only one has" if self.unlike else "")


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


def add_image(total: Difference, name: str, own: InstanceData, other: InstanceData, edges: Edges) -> None:
    """Compare the detections of one image, and add what differs.

    Each detection goes with the nearest one of its class: those that score the same may come in any order.
    """
    rest = [torch.ones(len(found), dtype=torch.bool) for found in (own, other)]
    total.found += len(own)
    if len(own) and len(other):
        apart = torch.cdist(own.bboxes.double(), other.bboxes.double(), p=math.inf)
        score = (own.scores.double()[:, None] - other.scores.double()[None]).abs()
        apart = apart.masked_fill(own.labels[:, None] != other.labels[None], math.inf)
        # The score tells boxes in the same place apart.
        cost = apart + score * edges.boxes / edges.scores
        cost = cost.masked_fill((apart > 20 * edges.boxes) | (score > 20 * edges.scores), math.inf)
        for index in cost.amin(dim=1).argsort().tolist():
            partner = int(cost[index].argmin())
            if cost[index, partner] == math.inf:
                continue
            total.boxes = max(total.boxes, float(apart[index, partner]))
            total.scores = max(total.scores, float(score[index, partner]))
            rest[0][index] = rest[1][partner] = False
            cost[:, partner] = math.inf
    lonely = [found[mask] for found, mask in zip((own, other), rest, strict=True)]
    excused = _excused(lonely, (other, own), edges)
    for alone, decided, whose in zip(lonely, excused, ("the detector", "the file"), strict=True):
        total.on_the_edge += int(decided.sum())
        for one in (alone[index] for index in (~decided).nonzero()[:, 0].tolist()):
            total.unlike += 1
            box = ", ".join(f"{value:.1f}" for value in one.bboxes[0].tolist())
            label, value = int(one.labels), float(one.scores)
            total.where.append(f"{name}: only {whose} has class {label} at [{box}], score {value:.4f}")


def _excused(lonely: Sequence[InstanceData], there: Sequence[InstanceData], edges: Edges) -> list[Tensor]:
    """Tell which detections that only one of two has, rounding may have kept out of the other.

    Args:
        lonely: Those of the first and of the second.
        there: All of the second, and of the first.
        edges: Where rounding decides.

    Returns:
        Of the first and of the second, (n,) bool.
    """
    excused = [_at_an_edge(alone, found, edges) for alone, found in zip(lonely, there, strict=True)]
    if edges.iou_threshold is None:
        return excused
    over = _rivalry(lonely[0], lonely[1], edges) > edges.iou_threshold  # (n, m)
    better = lonely[0].scores[:, None] - lonely[1].scores[None]
    # What stays at an edge may drop another, which the other side has.
    first, second = over & (better <= edges.scores), (over & (better >= -edges.scores)).T
    for _ in range(len(lonely[0]) + len(lonely[1])):
        excused = [excused[0] | (first & excused[1]).any(dim=1), excused[1] | (second & excused[0]).any(dim=1)]
    return excused


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


def compare(
    model: OneStageDetector, exported: ExportedDetector, data: Sequence[dict[str, Any]], edges: Edges
) -> Difference:
    """Compare a file with its detector on images.

    Args:
        model: The detector, in eval mode.
        exported: The file.
        data: What the file's pipeline makes of each image.
        edges: Of the detector.
    """
    total = Difference()
    for one in data:
        batch = pseudo_collate([one])
        (own,) = detect_at_size(model, batch, exported.metadata.size)
        (other,) = exported.test_step(pseudo_collate([one]))
        name = str(own.get("img_path") or own.get("img_id"))
        add_image(total, name, own.pred_instances.cpu(), other.pred_instances, edges)
    return total


@torch.no_grad()
def detect_at_size(model: OneStageDetector, data: dict[str, Any], size: Sequence[int] | None) -> list[DetDataSample]:
    """Detect as ``test_step`` does, with images that are filled up with zeros to a size: what a file of one size does.

    Args:
        model: The detector.
        data: ``inputs`` and ``data_samples`` of N images.
        size: Height and width; None: of each image as ``test_step`` has it.
    """
    data = {"inputs": list(data["inputs"]), "data_samples": [sample.clone() for sample in data["data_samples"]]}
    if size is None:
        return model.test_step(data)
    ready = model.data_preprocessor(data)
    inputs: Tensor = ready["inputs"]
    rows, columns = (wanted - side for wanted, side in zip(size, inputs.shape[2:], strict=True))
    inputs = F.pad(inputs, (0, columns, 0, rows)).contiguous(memory_format=torch.channels_last)
    return model(inputs, ready["data_samples"], mode="predict")


def latency(run: Callable[[dict[str, Any]], Any], data: dict[str, Any], times: int = 5) -> float:
    """Return the median time of a call on a batch, in seconds, after one that does not count."""
    spent = []
    for _ in range(times + 1):
        start = time.perf_counter()
        run({"inputs": list(data["inputs"]), "data_samples": [sample.clone() for sample in data["data_samples"]]})
        spent.append(time.perf_counter() - start)
    return median(spent[1:])


def check_within(difference: Difference, path: Path, boxes: float, scores: float) -> None:
    """Raise EvaluationError above tolerances, in pixels and in scores."""
    if difference.is_within(boxes, scores):
        return
    first = f" ({difference.where[0]})" if difference.where else ""
    raise EvaluationError(
        f"{path} does not find what the detector finds: {difference}{first}; the tolerance is {boxes:g} px and "
        f"{scores:g}, see --tolerance; nothing is written"
    )
