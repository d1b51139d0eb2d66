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


class ClaimsOfImages:
    """The same for the boxes of N images at once.

    Args:
        num_images: N.
        priors: (A, 4).

    Attributes:
        boxes: (N, A) int64, index of the box among those of all images, or ``BACKGROUND``.
    """

    def __init__(self, num_images: int, priors: Tensor):
        shape = num_images, len(priors)
        self.boxes = torch.full(shape, BACKGROUND, device=priors.device)
        self._largest = torch.full(shape, -torch.inf, device=priors.device)

    def add(self, claims: Tensor, image: Tensor, start: int) -> None:
        """Take in the claims (B, A) of boxes ``start`` to ``start + B``, of the images (B,)."""
        row = image[:, None].expand_as(claims)
        nothing = torch.full_like(self._largest, -torch.inf)
        largest = nothing.scatter_reduce(0, row, claims, "amax")  # (N, A)
        box = torch.arange(start, start + len(claims), device=claims.device)[:, None]
        end = start + len(claims)
        first = torch.where(claims == largest[image], box, end)  # (B, A)
        first = torch.full_like(self.boxes, end).scatter_reduce(0, row, first, "amin")
        larger = largest > self._largest
        self.boxes = torch.where(larger, first, self.boxes)
        self._largest = torch.where(larger, largest, self._largest)


def mark_smallest(values: Tensor, limit: int, count: Tensor | None = None) -> Tensor:
    """Mark the smallest values of each row; see :func:`mark_largest`."""
    return mark_largest(-values, limit, count)


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
