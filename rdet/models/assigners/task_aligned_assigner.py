"""Assignment by how well a prior's prediction classifies and localises at once."""

from typing import Any

import torch
from torch import Tensor
from torchvision.ops import box_iou

from rdet.models.assigners.base import ClaimingAssigner
from rdet.models.assigners.claims import Claims, mark_largest
from rdet.models.assigners.geometry import box_centers, is_inside
from rdet.registry import MODELS
from rdet.schema import Count, NotNegative
from rdet.structures.boxes import paired_iou
from rdet.structures.match_batch import MatchBatch, MatchImage


@MODELS.register_module()
class TaskAlignedAssigner(ClaimingAssigner):
    """Rule that gives each box the priors of best aligned predictions (TOOD, Feng et al., ICCV 2021, section 3.2).

    The alignment is t = s^alpha * u^beta, with the score s of the box's class and the IoU u of the
    predicted box. Of the priors whose centre lies inside the box, the ``topk`` of largest t > 0 are
    positive. A prior that several boxes claim goes to the one its prediction overlaps most.

    Memory: O(A * ``chunk_size``), whatever the number of boxes.

    Args:
        topk: Positives of a box.
        alpha, beta: Exponents of score and IoU.
        topk_of: ``'inside'``, or ``'all'`` priors, of which those outside of the box are dropped afterwards, as in the
            authors' code and MMDetection.
        inside_margin: Pixels by which a centre must lie inside the box; MMDetection has 0.01.
        **options: Of :class:`~rdet.models.assigners.base.Assigner`.
    """

    def __init__(
        self,
        topk: Count = 13,
        alpha: NotNegative = 1.0,
        beta: NotNegative = 6.0,
        topk_of: str = "inside",
        inside_margin: NotNegative = 0.0,
        **options: Any,
    ):
        super().__init__(**options)
        if topk < 1:
            raise ValueError(f"expected topk >= 1, got {topk}")
        self.topk = topk
        self.alpha = alpha
        self.beta = beta
        if topk_of not in ("inside", "all"):
            raise ValueError(f"assigner.topk_of is {topk_of!r}; valid: 'inside', 'all'")
        self.topk_of = topk_of
        self.inside_margin = inside_margin

    def most_positives(self, batch: MatchBatch) -> int:
        return len(batch.truth.boxes) * self.topk

    def assign(self, image: MatchImage) -> Tensor:
        return self(image.priors, image.boxes, image.labels, image.scores, image.predicted)

    @torch.no_grad()
    def __call__(
        self,
        priors: Tensor,
        boxes: Tensor,
        labels: Tensor,
        scores: Tensor,
        predicted: Tensor,
    ) -> Tensor:
        """Assign the priors of one image (TOOD, section 3.2).

        Args:
            priors: (A, 4) xyxy.
            boxes: (G, 4) xyxy ground truth.
            labels: (G,) int64, their classes.
            scores: (A, K) probabilities of the classes.
            predicted: (A, 4) xyxy.

        Returns:
            (A,) int64: index of the prior's box, or ``BACKGROUND``.
        """
        claims, centers, predicted = Claims(priors), box_centers(priors), predicted.float()
        for start in range(0, len(boxes), self.chunk_size):
            chunk, classes = (values[start : start + self.chunk_size] for values in (boxes, labels))
            iou = box_iou(chunk, predicted)  # (chunk, A)
            claims.add(self._claims(centers, chunk, scores[:, classes].T, iou), start)
        return claims.boxes

    def claims_of(self, batch: MatchBatch, boxes: Tensor, labels: Tensor, image: Tensor) -> Tensor:
        iou = paired_iou(boxes[:, None], batch.all_decoded[image].float())  # (B, A)
        return self._claims(box_centers(batch.priors), boxes, batch.all_scores[image, :, labels], iou)

    def _claims(self, centers: Tensor, boxes: Tensor, scores: Tensor, iou: Tensor) -> Tensor:
        """Return the IoU (B, A) where a prior is positive for a box, else -inf; ``scores`` (B, A) are of its class."""
        alignment = scores.float() ** self.alpha * iou**self.beta
        inside = is_inside(centers, boxes[:, None], self.inside_margin)
        ranked = torch.where(inside, alignment, 0) if self.topk_of == "inside" else alignment
        positive = mark_largest(ranked, self.topk) & (alignment > 0) & inside
        return torch.where(positive, iou, -torch.inf)
