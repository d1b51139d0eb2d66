"""The claims of SimOTA as its authors' code decides them, and RTMDet's, where all boxes share their candidates."""

import torch
from torch import Tensor

from rdet.models.assigners.claims import mark_smallest
from rdet.structures.assignment import BACKGROUND


class SharedClaims:
    """Each box claims its k cheapest priors; one that several claim goes to the box it costs least, of all boxes.

    Args:
        priors: (A, 4).
        topk: The most priors that a box claims.

    Attributes:
        boxes: (A,) int64, index of the box that gets the prior so far, or ``BACKGROUND``.
    """

    def __init__(self, priors: Tensor, topk: int):
        self._topk = topk
        self._count = torch.zeros(len(priors), dtype=torch.int64, device=priors.device)  # of the claims on it
        self._claimed = torch.full((len(priors),), BACKGROUND, device=priors.device)  # by which, if it is one
        self._cheapest = torch.full_like(self._claimed, BACKGROUND)
        self._cost = torch.full((len(priors),), torch.inf, device=priors.device)

    def add(self, cost: Tensor, candidates: Tensor, count: Tensor, start: int) -> None:
        """Take in boxes ``start`` to ``start + B``.

        Args:
            cost: (B, A) of each prior.
            candidates: (A,) bool, the priors that are candidates of any box.
            count: (B,) int64, how many priors a box claims.
            start: Index of the first box.
        """
        # Finite, so that candidates come before others however much they cost.
        cost = cost.clamp(max=torch.finfo(cost.dtype).max).masked_fill(~candidates, torch.inf)
        claims = mark_smallest(cost, self._topk, count) & candidates
        found = claims.any(dim=0)
        self._count += claims.sum(dim=0)
        self._claimed = torch.where(found, claims.byte().argmax(dim=0) + start, self._claimed)
        least, box = cost.min(dim=0)
        lower = least < self._cost
        self._cost = torch.where(lower, least, self._cost)
        self._cheapest = torch.where(lower, box + start, self._cheapest)

    @property
    def boxes(self) -> Tensor:
        return torch.where(self._count > 1, self._cheapest, self._claimed)
