"""Whether an exported file finds what the detector finds."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from mmengine.dataset import pseudo_collate
from mmengine.structures import InstanceData

from rdet.deploy.at_size import detect_at_size
from rdet.deploy.candidates import candidates_of
from rdet.deploy.edges import Edges, excused_by
from rdet.deploy.exported_detector import ExportedDetector
from rdet.errors import EvaluationError
from rdet.models.detectors.one_stage_detector import OneStageDetector

# Images of a batch, in turns, where a file takes any number.
BATCHES = (1, 2, 7)


@dataclass
class Difference:
    """How far the detections of a file are from those of the detector.

    Attributes:
        boxes: Largest difference of a coordinate, in pixels of the original image.
        scores: Largest difference of a score.
        found: Detections that were compared.
        on_the_edge: Detections that only one has since rounding decides: at the threshold of the score or of the
            overlap, the last that a level or an image may have, or dropped by one that scores the same.
        unlike: Detections that only one has, for no such reason.
        empty: Images in which neither finds anything.
        where: Image -> what is unlike in it.
    """

    boxes: float = 0.0
    scores: float = 0.0
    found: int = 0
    on_the_edge: int = 0
    unlike: int = 0
    empty: int = 0
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


def add_image(
    total: Difference,
    name: str,
    own: InstanceData,
    other: InstanceData,
    edges: Edges,
    candidates: Callable[[], InstanceData] | None = None,
) -> None:
    """Compare the detections of one image, and add what differs.

    Each detection goes with the nearest one of its class: those that score the same may come in any order.

    Args:
        total: Is added to.
        name: Of the image.
        own: Detections of the detector.
        other: Those of the file.
        edges: Where rounding decides.
        candidates: Finds what the detector may find in the image, as
            :func:`~rdet.deploy.candidates.candidates_of` does; None: nobody asks before suppression.
    """
    rest = [torch.ones(len(found), dtype=torch.bool) for found in (own, other)]
    total.found += len(own)
    total.empty += not len(own) and not len(other)
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
    excused = excused_by(lonely, (other, own), edges)
    if candidates is not None and not all(bool(decided.all()) for decided in excused):
        excused = excused_by(lonely, (other, own), edges, candidates())
    for alone, decided, whose in zip(lonely, excused, ("the detector", "the file"), strict=True):
        total.on_the_edge += int(decided.sum())
        for one in (alone[index] for index in (~decided).nonzero()[:, 0].tolist()):
            total.unlike += 1
            box = ", ".join(f"{value:.1f}" for value in one.bboxes[0].tolist())
            label, value = int(one.labels), float(one.scores)
            total.where.append(f"{name}: only {whose} has class {label} at [{box}], score {value:.4f}")


def compare(
    model: OneStageDetector, exported: ExportedDetector, data: Sequence[dict[str, Any]], edges: Edges
) -> Difference:
    """Compare a file with its detector on images, each of which the detector sees alone.

    Args:
        model: The detector, in eval mode.
        exported: The file. One that takes any number of images gets each of them by itself and beside others.
        data: What the file's pipeline makes of each image.
        edges: Of the detector.
    """
    total = Difference()
    size = exported.metadata.size
    own = [detect_at_size(model, pseudo_collate([one]), size)[0] for one in data]
    for step in BATCHES if exported.batch_size is None else (exported.batch_size,):
        for start in range(0, len(data), step):
            part = range(start, min(start + step, len(data)))
            found = exported.test_step(_copied([data[index] for index in part]))
            for index, other in zip(part, found, strict=True):
                name = str(own[index].get("img_path") or own[index].get("img_id"))
                candidates = partial(candidates_of, model, pseudo_collate([data[index]]), size, edges.scores)
                add_image(total, name, own[index].pred_instances.cpu(), other.pred_instances, edges, candidates)
    return total


def _copied(data: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Make a batch of images, whose samples a detector may write into."""
    batch = pseudo_collate(data)
    return {"inputs": list(batch["inputs"]), "data_samples": [sample.clone() for sample in batch["data_samples"]]}


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
