"""Assignment of points to boxes by position and size."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from rdet.models.assigners.base import ClaimingAssigner
from rdet.models.assigners.claims import Claims
from rdet.models.assigners.geometry import box_centers, is_near, side_distances
from rdet.registry import MODELS
from rdet.schema import Count, NotNegative, Positive
from rdet.structures.boxes import sides_of
from rdet.structures.match_batch import MatchBatch, MatchImage


@MODELS.register_module()
class FCOSAssigner(ClaimingAssigner):
    """Rule that a point inside a box is positive if the box fits its level (FCOS, Tian et al., ICCV 2019, section 3.2).

    The box fits if the largest distance of the point from its four sides lies in
    (``regress_range[0]``, ``regress_range[1]``] strides; the first level has no lower limit and the
    last no upper one. With strides 8 to 128, these are the paper's limits of 64, 128, 256 and 512
    pixels. The point must also be within ``center_sampling_radius`` of the box's centre (TPAMI
    version of the paper, 2021). Of several boxes it gets the smallest.

    Memory: O(A * ``chunk_size``), whatever the number of boxes.

    Args:
        regress_range: Limits of the largest distance, in strides.
        center_sampling_radius: Half-side of the square around a box's centre, in strides; None:
            the whole box, as in the ICCV paper.
        include_upper: Whether a distance of exactly the upper limit fits; in torchvision it does
            not, and fits no level. All else is as there by default.
        include_lower: Whether a distance of exactly the lower limit fits too, as in MMDetection.
        strides: Of the levels (inferred).
        **options: Of :class:`~rdet.models.assigners.base.Assigner`.
    """

    def __init__(
        self,
        regress_range: tuple[NotNegative, Positive] = (4.0, 8.0),
        center_sampling_radius: Positive | None = 1.5,
        include_upper: bool = True,
        include_lower: bool = False,
        strides: list[Count] | None = None,
        **options: Any,
    ):
        super().__init__(**options)
        if not 0 <= regress_range[0] < regress_range[1]:
            raise ValueError(f"expected 0 <= low < high in regress_range, got {regress_range}")
        if center_sampling_radius is not None and center_sampling_radius <= 0:
            raise ValueError(f"expected center_sampling_radius > 0, or None, got {center_sampling_radius}")
        self.regress_range = regress_range
        self.center_sampling_radius = center_sampling_radius
        self.include_upper = include_upper
        self.include_lower = include_lower
        self.strides = strides

    def most_positives(self, batch: MatchBatch) -> int | None:
        """Count the points that each box can hold on the levels that it fits, from their steps."""
        grid = batch.grid
        if grid is None:
            return None
        stride = grid.size[:, 0]  # (R,)
        if self.strides is not None:
            cells = [height * width for height, width in batch.predictions.level_sizes]
            lengths = batch.predictions.level_lengths
            stride = np.repeat(self.strides, [length // count for length, count in zip(lengths, cells, strict=True)])
        sides = sides_of(batch.truth.boxes.cpu()).numpy()  # (G, 2)
        # The margins are for rounding. The largest distance of a point inside is half of the longer side, or more.
        low = np.where(stride < 1.01 * stride.min(), 0, 0.99 * self.regress_range[0] * stride)
        high = np.where(stride > 0.99 * stride.max(), np.inf, 1.01 * self.regress_range[1] * stride)
        longer = sides.max(axis=1)[:, None]
        fits = (longer >= low) & (longer / 2 <= high)  # (G, R)
        reach = sides[:, None]  # (G, 1, 2)
        if self.center_sampling_radius is not None:
            reach = np.minimum(reach, 2 * self.center_sampling_radius * stride[:, None])  # (G, R, 2)
        points = np.minimum(np.ceil(reach / grid.step) + 1, grid.cells).prod(axis=2)  # (G, R)
        return int((points * fits).sum())

    def assign(self, image: MatchImage) -> Tensor:
        return self(image.priors, image.boxes, image.level_lengths)

    @torch.no_grad()
    def __call__(
        self,
        priors: Tensor,
        boxes: Tensor,
        level_lengths: list[int] | None = None,
    ) -> Tensor:
        """Assign the points of one image (FCOS, section 3.2).

        Args:
            priors: (A, 4) xyxy, around each point.
            boxes: (G, 4) xyxy ground truth.
            level_lengths: Priors of each level, whose strides the constructor got; None: a prior's
                width is its stride, as with points.

        Returns:
            (A,) int64: index of the point's box, or ``BACKGROUND``.
        """
        claims = Claims(priors)
        for start in range(0, len(boxes), self.chunk_size):
            claims.add(self._claims(priors, boxes[start : start + self.chunk_size], level_lengths), start)
        return claims.boxes

    def claims_of(self, batch: MatchBatch, boxes: Tensor, labels: Tensor, image: Tensor) -> Tensor:
        return self._claims(batch.priors, boxes, batch.predictions.level_lengths)

    def _claims(self, priors: Tensor, boxes: Tensor, level_lengths: list[int] | None) -> Tensor:
        """Compute -area of each box (B, 4) where a point fits it, else -inf: (B, A)."""
        centers = box_centers(priors)
        stride = self._stride(priors, level_lengths)
        # The margin is for rounding.
        low = torch.where(stride < 1.01 * stride.amin(), 0, self.regress_range[0] * stride)
        high = torch.where(stride > 0.99 * stride.amax(), torch.inf, self.regress_range[1] * stride)
        distances = side_distances(centers, boxes[:, None])  # (4, B, A)
        farthest = distances.amax(dim=0)
        below = farthest <= high if self.include_upper else farthest < high
        above = farthest >= low if self.include_lower else farthest > low
        fits = (distances.amin(dim=0) > 0) & above & below
        if self.center_sampling_radius is not None:
            fits &= is_near(centers, box_centers(boxes)[:, None], self.center_sampling_radius * stride)
        area = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1, keepdim=True)  # (B, 1)
        return torch.where(fits, -area, -torch.inf)

    def _stride(self, priors: Tensor, level_lengths: list[int] | None) -> Tensor:
        """Find the stride of each prior's level: (A,) pixels."""
        if level_lengths is None or self.strides is None:
            return priors[:, 2] - priors[:, 0]
        levels = zip(self.strides, level_lengths, strict=True)
        return torch.cat([priors.new_full((length,), float(stride)) for stride, length in levels])
