"""The box parameterisation of R-CNN."""

import math

import torch
from torch import Tensor

from rdet.models.coders.base import BBoxCoder
from rdet.models.numbers import divided, plus, times
from rdet.registry import MODELS
from rdet.schema import Positive


@MODELS.register_module()
class DeltaXYWHBBoxCoder(BBoxCoder):
    """Offsets of centre and log size relative to a prior (R-CNN, Girshick et al., CVPR 2014, appendix C).

    Args:
        target_means, target_stds: Subtracted from, and divided into, the four numbers.
        max_ratio: Largest factor by which decoding may grow a prior's side; 1000 / 16 as in
            Detectron, so that a wild prediction stays finite.
        clamp_both_sides: Whether decoding shrinks a side by ``max_ratio`` at most, too, as in MMDetection.
        max_shift: Most pixels by which decoding moves the centre in x and in y, as in YOLOF; None: any number.

    Attributes:
        box_dim: Numbers that encode one box, 4.
        encoding: Name of the encoding.
    """

    box_dim = 4
    encoding = "deltas"

    def __init__(
        self,
        target_means: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0),
        target_stds: tuple[Positive, ...] = (1.0, 1.0, 1.0, 1.0),
        max_ratio: Positive = 1000 / 16,
        clamp_both_sides: bool = False,
        max_shift: Positive | None = None,
    ):
        for name, numbers in {"target_means": target_means, "target_stds": target_stds}.items():
            if len(numbers) != self.box_dim:
                raise ValueError(f"bbox_coder.{name} is {tuple(numbers)}; give {self.box_dim} numbers")
        if min(target_stds) <= 0:
            raise ValueError(f"bbox_coder.target_stds is {tuple(target_stds)}; all must be greater than 0")
        self.means = tuple(target_means)
        self.stds = tuple(target_stds)
        self.max_log_ratio = math.log(max_ratio)
        self.max_shift = max_shift
        self.min_log_ratio = -self.max_log_ratio if clamp_both_sides else None

    def encode(self, priors: Tensor, boxes: Tensor) -> Tensor:
        """Encode boxes (..., 4) relative to priors (..., 4), both xyxy: (..., 4) deltas."""
        prior_center, prior_size = _center_and_size(priors)
        center, size = _center_and_size(boxes)
        deltas = torch.cat([(center - prior_center) / prior_size, torch.log(size / prior_size)], dim=-1)
        return divided(plus(deltas, [-mean for mean in self.means]), self.stds)

    def decode(self, priors: Tensor, deltas: Tensor) -> Tensor:
        """Decode deltas (..., 4) relative to priors (..., 4): (..., 4) boxes, xyxy."""
        prior_center, prior_size = _center_and_size(priors)
        deltas = plus(times(deltas, self.stds), self.means)
        shift = deltas[..., :2] * prior_size
        center = prior_center + (shift if self.max_shift is None else shift.clamp(-self.max_shift, self.max_shift))
        size = prior_size * torch.exp(deltas[..., 2:].clamp(self.min_log_ratio, self.max_log_ratio))
        half = size / 2
        return torch.cat([center - half, center + half], dim=-1)


def _center_and_size(boxes: Tensor) -> tuple[Tensor, Tensor]:
    size = boxes[..., 2:] - boxes[..., :2]
    return boxes[..., :2] + size / 2, size
