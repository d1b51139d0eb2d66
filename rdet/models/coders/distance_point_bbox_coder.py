"""A box as the distances from a point to its four sides."""

import torch
from torch import Tensor

from rdet.models.coders.base import BBoxCoder
from rdet.registry import MODELS
from rdet.schema import Positive


@MODELS.register_module()
class DistancePointBBoxCoder(BBoxCoder):
    """Distances from the prior's centre to the box's left, top, right and bottom (FCOS, Tian et al., ICCV 2019, eq. 1).

    Args:
        prior_scale: Side of a prior in strides: 1 for points, 8 for the anchors of ATSS (inferred where
            each cell has one square). With anchors of several shapes, distances are in sides of the
            anchor divided by it.
        unit: ``'stride'`` divides by the prior's level's stride, so that all levels learn numbers
            of one size (FCOS, TPAMI 2021, section 3); ``'pixel'`` does not.
        max_distance: Largest decoded distance in pixels, so that areas of wild predictions stay finite; None: no limit.

    Attributes:
        box_dim: Numbers that encode one box, 4.
        encoding: Name of the encoding.
    """

    box_dim = 4
    encoding = "distances"

    def __init__(self, prior_scale: Positive = 1.0, unit: str = "stride", max_distance: Positive | None = 1e5):
        if unit not in ("stride", "pixel"):
            raise ValueError(f"DistancePointBBoxCoder.unit is {unit!r}; valid: 'stride', 'pixel'")
        if prior_scale <= 0:
            raise ValueError(f"DistancePointBBoxCoder.prior_scale is {prior_scale}; it must be positive")
        if max_distance is not None and max_distance <= 0:
            raise ValueError(f"DistancePointBBoxCoder.max_distance is {max_distance}; it must be positive, or None")
        self.prior_scale = prior_scale
        self.unit = unit
        self.max_distance = max_distance

    def encode(self, priors: Tensor, boxes: Tensor) -> Tensor:
        """Encode boxes (..., 4) relative to priors (..., 4), both xyxy: (..., 4) distances, negative outside."""
        center, unit = self._center_and_unit(priors)
        return torch.cat([center - boxes[..., :2], boxes[..., 2:] - center], dim=-1) / unit

    def decode(self, priors: Tensor, deltas: Tensor) -> Tensor:
        """Decode distances (..., 4) relative to priors (..., 4): (..., 4) boxes, xyxy."""
        center, unit = self._center_and_unit(priors)
        distances = deltas * unit
        if self.max_distance is not None:
            distances = distances.clamp(-self.max_distance, self.max_distance)
        return torch.cat([center - distances[..., :2], center + distances[..., 2:]], dim=-1)

    def _center_and_unit(self, priors: Tensor) -> tuple[Tensor, Tensor | float]:
        """Compute the centres (..., 2), and how many pixels one unit of each distance is: (..., 4), or 1."""
        center = (priors[..., :2] + priors[..., 2:]) / 2
        if self.unit == "pixel":
            return center, 1.0
        stride = (priors[..., 2:] - priors[..., :2]) / self.prior_scale
        return center, torch.cat([stride, stride], dim=-1)
