"""What rules share by which each box takes its cheapest priors, as many as predict it well."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torchvision.ops import box_iou

from rdet.models.assigners.base import ImageAssigner
from rdet.models.assigners.claims import Claims, mark_largest
from rdet.models.assigners.costs import dynamic_count
from rdet.models.assigners.geometry import box_centers
from rdet.models.assigners.shared_candidates import SharedClaims
from rdet.schema import Count
from rdet.structures.match_batch import MatchBatch

# What a prior costs more that is none of the first candidates of a box, in the authors' code of SimOTA.
_LATER = 100000.0


class DynamicCountAssigner(ImageAssigner):
    """Base of rules that give each box its k cheapest candidates.

    k is the sum of the ``candidate_topk`` largest IoUs of the box with what candidates predict, cut to a whole number,
    at least 1. A prior that several boxes claim goes to the one that it costs least.

    Memory: O(A * (``chunk_size`` + K)), whatever the number of boxes.

    Args:
        candidate_topk: Largest IoUs whose sum is k.
        share_candidates: Whether the candidates of any box are candidates of all, see :class:`SharedClaims`.
        **options: Of :class:`~rdet.models.assigners.base.Assigner`.
    """

    def __init__(self, candidate_topk: Count, share_candidates: bool, **options: Any):
        super().__init__(**options)
        self.candidate_topk = candidate_topk
        self.share_candidates = share_candidates

    def most_positives(self, batch: MatchBatch) -> int:
        return len(batch.truth.boxes) * self.candidate_topk

    @abstractmethod
    def candidates_of(self, centers: Tensor, boxes: Tensor, strides: Tensor) -> tuple[Tensor, Tensor]:
        """Find the candidates of boxes (B, 4) among priors with centres (A, 2) and strides (A,).

        Returns:
            (B, A) bool, which priors are candidates, and (B, A) bool, which come first however much they cost.
        """

    def assigned(
        self,
        priors: Tensor,
        boxes: Tensor,
        predicted: Tensor,
        strides: Tensor,
        cost_of: Callable[[slice, Tensor], Tensor],
    ) -> Tensor:
        """Assign the priors of one image.

        Args:
            priors: (A, 4) xyxy.
            boxes: (G, 4) xyxy ground truth.
            predicted: (A, 4) xyxy.
            strides: (A,) of the priors.
            cost_of: Which of the boxes, B, and their IoUs with what is predicted (B, A), 0 where there is no candidate
                -> what each prior costs, (B, A).

        Returns:
            (A,) int64: index of the prior's box, or ``BACKGROUND``.
        """
        claims, shared = Claims(priors), SharedClaims(priors, self.candidate_topk)
        centers, predicted = box_centers(priors), predicted.float()
        chunks = [slice(start, start + self.chunk_size) for start in range(0, len(boxes), self.chunk_size)]
        of_any = torch.zeros_like(strides, dtype=torch.bool)  # (A,) whether it is a candidate
        if self.share_candidates:
            for chunk in chunks:
                of_any |= self.candidates_of(centers, boxes[chunk], strides)[0].any(dim=0)
        for chunk in chunks:
            own, first = self.candidates_of(centers, boxes[chunk], strides)
            iou = torch.where(own | of_any, box_iou(boxes[chunk], predicted), 0)
            count = dynamic_count(iou, self.candidate_topk)
            cost = cost_of(chunk, iou)
            if self.share_candidates:
                shared.add(cost + ~first * _LATER, of_any, count, chunk.start)
                continue
            # In (0, 1] of the first, in (-1, 0] of others; it falls with the cost.
            value = 1 / (1 + cost.clamp(min=0)) - (~first).float()
            value = torch.where(own, value, -torch.inf)
            chosen = mark_largest(value, self.candidate_topk, count)
            claims.add(torch.where(chosen, value, -torch.inf), chunk.start)
        return shared.boxes if self.share_candidates else claims.boxes
