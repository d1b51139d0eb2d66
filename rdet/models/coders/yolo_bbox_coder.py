"""The box parameterisation of YOLOv2 and YOLOv3."""

import math

import torch
from torch import Tensor

from rdet.errors import ConfigError
from rdet.models.coders.base import BBoxCoder
from rdet.models.numbers import numbers_like
from rdet.registry import MODELS
from rdet.schema import Count, Positive


@MODELS.register_module()
class YOLOBBoxCoder(BBoxCoder):
    """The centre within the cell of a prior, and the log size relative to it (YOLO9000, CVPR 2017, section 2).

    The centre is a logistic function of its number, so that it cannot leave the cell ("Direct location prediction").
    The width of a cell follows from the size of the prior, so no two levels may have priors of the same size.

    Args:
        strides: Stride of each level in pixels (inferred).
        sizes: For each level (width, height) of the priors at a cell (inferred).
        eps: The encoded place in the cell lies in [eps, 1 - eps], so that its logit is finite.
        max_ratio: Largest factor by which decoding may grow a prior's side.

    Attributes:
        box_dim: Numbers that encode one box, 4.
        encoding: Name of the encoding.

    Raises:
        ConfigError: Levels of different strides have priors of one size.
    """

    box_dim = 4
    encoding = "cells"

    def __init__(
        self,
        strides: list[Count],
        sizes: list[list[tuple[Positive, Positive]]],
        eps: Positive = 1e-6,
        max_ratio: Positive = 1e4,
    ):
        if not 0 < eps < 0.5:
            raise ValueError(f"bbox_coder.eps is {eps}; it must lie between 0 and 0.5")
        self.eps = eps
        self.max_log_ratio = math.log(max_ratio)
        found: dict[tuple[float, float], int] = {}
        for stride, level in zip(strides, sizes, strict=True):
            for width, height in level:
                if found.setdefault((width, height), stride) != stride:
                    raise ConfigError(
                        "model.bbox_coder: YOLOBBoxCoder tells the level of a prior by its size, but those of strides "
                        f"{found[width, height]} and {stride} both have {width, height}; make the sizes differ"
                    )
        self._sizes, self._strides = list(found), list(found.values())

    def encode(self, priors: Tensor, boxes: Tensor) -> Tensor:
        """Encode boxes (..., 4) relative to priors (..., 4), both xyxy: (..., 4) deltas."""
        prior_center, prior_size = _center_and_size(priors)
        center, size = _center_and_size(boxes)
        place = ((center - prior_center) / self.stride_of(prior_size) + 0.5).clamp(self.eps, 1 - self.eps)
        return torch.cat([place.logit(), torch.log((size / prior_size).clamp(min=self.eps))], dim=-1)

    def decode(self, priors: Tensor, deltas: Tensor) -> Tensor:
        """Decode deltas (..., 4) relative to priors (..., 4): (..., 4) boxes, xyxy."""
        prior_center, prior_size = _center_and_size(priors)
        center = prior_center + (deltas[..., :2].sigmoid() - 0.5) * self.stride_of(prior_size)
        size = prior_size * torch.exp(deltas[..., 2:].clamp(max=self.max_log_ratio))
        return torch.cat([center - size / 2, center + size / 2], dim=-1)

    def stride_of(self, prior_size: Tensor) -> Tensor | float:
        """Tell the width of a prior's cell by its size, (..., 2) -> (..., 1) pixels; by the nearest: corners round."""
        if len(set(self._strides)) == 1:
            return float(self._strides[0])
        sizes = numbers_like(self._sizes, prior_size)  # (S, 2)
        nearest = (prior_size[..., None, :] - sizes).abs().sum(dim=-1).argmin(dim=-1)
        return numbers_like([self._strides], prior_size)[0, nearest][..., None]


def _center_and_size(boxes: Tensor) -> tuple[Tensor, Tensor]:
    return (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
