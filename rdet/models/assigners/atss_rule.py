"""What ATSS and the rules made of it share: candidates by their centres, and a threshold for each box."""

from abc import ABC
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from rdet.models.assigners.base import ClaimingAssigner
from rdet.models.assigners.claims import Claims, mark_largest
from rdet.models.assigners.geometry import box_centers, is_inside
from rdet.schema import Count, NotNegative
from rdet.structures.match_batch import MatchBatch


class ATSSRule(ClaimingAssigner, ABC):
    """Base of rules by which a box takes the candidates that are rated above the mean plus the standard deviation.

    Candidates of a box are the ``topk`` priors of each level whose centres are nearest to the box's centre. Those
    above the threshold are positive if their centre lies inside the box. A prior that several boxes claim goes to the
    one that rates it highest.

    Memory: O(A * ``chunk_size``), whatever the number of boxes.

    Args:
        topk: Candidates on each level. It counts priors, as in MMDetection; the authors' code multiplies
            it by the priors of a cell.
        inside_margin: Pixels by which a centre must lie inside the box; MMDetection has 0.01.
        **options: Of :class:`~rdet.models.assigners.base.Assigner`.
    """

    def __init__(self, topk: Count = 9, inside_margin: NotNegative = 0.0, **options: Any):
        super().__init__(**options)
        if topk < 1:
            raise ValueError(f"expected topk >= 1, got {topk}")
        self.topk = topk
        self.inside_margin = inside_margin

    def most_positives(self, batch: MatchBatch) -> int:
        return len(batch.truth.boxes) * sum(min(self.topk, length) for length in batch.predictions.level_lengths)

    def assigned(
        self, priors: Tensor, boxes: Tensor, level_lengths: list[int] | None, rate: Callable[[slice, Tensor], Tensor]
    ) -> Tensor:
        """Assign the priors of one image.

        Args:
            priors: (A, 4) xyxy.
            boxes: (G, 4) xyxy ground truth.
            level_lengths: Priors of each level; None: all are of one level.
            rate: Which of the boxes, B, and their candidates (B, C), indices of priors -> how good each is, (B, C).

        Returns:
            (A,) int64: index of the prior's box, or ``BACKGROUND``.
        """
        claims = Claims(priors)
        for start in range(0, len(boxes), self.chunk_size):
            chunk = slice(start, start + self.chunk_size)
            lengths = level_lengths or [len(priors)]
            claims.add(self.claims(priors, boxes[chunk], lengths, partial(rate, chunk)), start)
        return claims.boxes

    def claims(
        self, priors: Tensor, boxes: Tensor, level_lengths: list[int], rate: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """Compute the rating (B, A) where a prior is positive for a box, else -inf.

        Args:
            priors, level_lengths: As for :meth:`assigned`.
            boxes: (B, 4).
            rate: Candidates (B, C) of these -> how good each is, (B, C).
        """
        centers = box_centers(priors)
        candidates = self._candidates(centers, boxes, level_lengths)  # (B, C)
        rated = rate(candidates)
        positive = _above_threshold(rated) & is_inside(centers[candidates], boxes[:, None], self.inside_margin)
        claim = rated.masked_fill(~positive, -torch.inf)
        return rated.new_full((len(boxes), len(priors)), -torch.inf).scatter(1, candidates, claim)

    def _candidates(self, centers: Tensor, boxes: Tensor, level_lengths: list[int]) -> Tensor:
        """Find the candidates of boxes (B, 4): indices (B, C) by level, C = sum of min(``topk``, level's length)."""
        found, start = [], 0
        for level in centers.split(level_lengths):
            nearness = -(level - box_centers(boxes)[:, None]).square().sum(dim=-1)  # (B, A_l)
            nearest = mark_largest(nearness, self.topk)
            indices = nearest.float().topk(min(self.topk, len(level)), dim=1).indices
            found.append(indices.sort(dim=1).values + start)
            start += len(level)
        return torch.cat(found, dim=1)


def _above_threshold(rated: Tensor) -> Tensor:
    """Mark the ratings (B, C) that are at least the mean plus the (sample) standard deviation of their row."""
    relative = rated - rated.amax(dim=1, keepdim=True)  # the mean of equal ones is exactly that one
    mean = relative.mean(dim=1, keepdim=True)
    variance = (relative - mean).square().sum(dim=1, keepdim=True) / max(rated.shape[1] - 1, 1)
    return relative >= mean + variance.sqrt()
