"""A box as four distributions of distances."""

import torch
from torch import Tensor

from rdet.models.coders.base import BBoxCoder
from rdet.models.coders.distance_point_bbox_coder import DistancePointBBoxCoder
from rdet.registry import MODELS
from rdet.schema import Count, NotNegative, Positive


@MODELS.register_module()
class DistributionBBoxCoder(BBoxCoder):
    """Distribution of each side's distance in strides over 0, 1, ..., n (GFL, Li et al., NeurIPS 2020, section 3.2).

    A box is decoded from the expectations of the four (equation 4). A distance beyond ``reg_max``
    strides cannot be expressed.

    Args:
        reg_max: n, the last of the distances.
        prior_scale: Side of a prior in strides: 1 for points, 8 for the anchors of GFL (inferred where
            each cell has one square).
        margin: By how much an encoded distance stays below ``reg_max``, so that each lies between two of the
            distribution's values; MMDetection has 0.1.
        max_distance: See :class:`DistancePointBBoxCoder`.

    Attributes:
        box_dim: Logits that encode one box, 4 * (reg_max + 1): all of left, then top, right, bottom.
        encoding: Name of the encoding.
    """

    encoding = "distributions"

    def __init__(
        self,
        reg_max: Count = 16,
        prior_scale: Positive = 1.0,
        margin: NotNegative = 0.01,
        max_distance: Positive | None = 1e5,
    ):
        if reg_max < 1:
            raise ValueError(f"DistributionBBoxCoder.reg_max is {reg_max}; it must be at least 1")
        if not 0 < margin < 1:
            raise ValueError(f"DistributionBBoxCoder.margin is {margin}; it must lie between 0 and 1")
        self.reg_max = reg_max
        self.margin = margin
        self.box_dim = 4 * (reg_max + 1)
        self._distances = DistancePointBBoxCoder(prior_scale, max_distance=max_distance)

    def encode(self, priors: Tensor, boxes: Tensor) -> Tensor:
        """Encode boxes (..., 4) relative to priors (..., 4), both xyxy: (..., 4) strides in [0, reg_max - margin]."""
        return self._distances.encode(priors, boxes).clamp(0, self.reg_max - self.margin)

    def decode(self, priors: Tensor, deltas: Tensor) -> Tensor:
        """Decode logits (..., 4 * (reg_max + 1)) relative to priors (..., 4): (..., 4) boxes, xyxy (equation 4)."""
        # Half precision is too coarse for coordinates.
        logits = deltas.float().unflatten(-1, (4, self.reg_max + 1))  # (..., 4, n + 1)
        values = torch.arange(self.reg_max + 1, device=deltas.device, dtype=torch.float32)
        if torch.compiler.is_exporting():  # other runtimes' softmax is slow with so few numbers
            weights = (logits - logits.amax(dim=-1, keepdim=True)).exp()
            expected = (weights * values).sum(dim=-1) / weights.sum(dim=-1)
        else:
            expected = (logits.softmax(dim=-1) * values).sum(dim=-1)
        return self._distances.decode(priors, expected)
