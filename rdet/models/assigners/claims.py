"""Which priors a box claims, and who gets a prior that several boxes claim."""

import torch
from torch import Tensor

from rdet.structures.assignment import BACKGROUND


class Claims:
    """The box with the largest claim on each prior, kept while boxes come in chunks; of equal claims the first counts.

    Args:
        priors: (A, 4).

    Attributes:
        boxes: (A,) int64, index of the box that gets the prior so far, or ``BACKGROUND``.
    """

    def __init__(self, priors: Tensor):
        self.boxes = torch.full((len(priors),), BACKGROUND, device=priors.device)
        self._largest = torch.full((len(priors),), -torch.inf, device=priors.device)

    def add(self, claims: Tensor, start: int) -> None:
        """Take in the claims (B, A) of boxes ``start`` to ``start + B``; -inf is no claim."""
        claim, box = claims.max(dim=0)
        larger = claim > self._largest
        self._largest = torch.where(larger, claim, self._largest)
        self.boxes = torch.where(larger, box + start, self.boxes)


def mark_largest(values: Tensor, limit: int, count: Tensor | None = None) -> Tensor:
    """Mark the largest values of each row; of equal values the first, which ``topk`` does not promise.

    Args:
        values: (B, A).
        limit: How many in each row, at most A of course.
        count: (B,) int64, at least 1: how many in each row if fewer than ``limit``.

    Returns:
        (B, A) bool.
    """
    limit = min(limit, values.shape[1])
    count = torch.full_like(values[:, 0], limit, dtype=torch.int64) if count is None else count.clamp(max=limit)
    smallest = values.topk(limit, dim=1).values.gather(1, count[:, None] - 1)  # (B, 1)
    above, equal = values > smallest, values == smallest
    room = count[:, None] - above.sum(dim=1, keepdim=True)
    return above | (equal & (equal.cumsum(dim=1) <= room))
