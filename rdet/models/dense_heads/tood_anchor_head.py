"""The task-aligned head of TOOD on anchors."""

import math
from typing import Any

import torch
from torch import Tensor

from rdet.models.dense_heads.tood_head import TOODHead
from rdet.models.numbers import times
from rdet.registry import MODELS
from rdet.schema import Positive

_MAX_LOG_RATIO = math.log(1000 / 16)


@MODELS.register_module()
class TOODAnchorHead(TOODHead):
    """TOOD's head that predicts its boxes as deltas of one square anchor a cell (TOOD, its anchor-based version).

    The box output is read as offset of the centre and log size relative to the anchor, and handed on as
    distances from the cell's centre to the box's sides; a side is at most 62.5 times the anchor's and at
    least 1/62.5 of it. For shapes and further arguments see :class:`TOODHead`.

    Args:
        base_size: Side of the anchor in strides; that of ``AnchorGenerator.octave_base_scale``.
        target_stds: Factors of the four numbers.

    Raises:
        ValueError: ``base_size`` is not positive, or ``target_stds`` are not four.
    """

    def __init__(
        self,
        *args: Any,
        base_size: Positive = 8.0,
        target_stds: tuple[Positive, ...] = (0.1, 0.1, 0.2, 0.2),
        **options: Any,
    ):
        super().__init__(*args, **options)
        if base_size <= 0:
            raise ValueError(f"bbox_head.base_size is {base_size}; it must be positive")
        if len(target_stds) != 4:
            raise ValueError(f"bbox_head.target_stds is {tuple(target_stds)}; it must be a list of 4 numbers")
        self.base_size = base_size
        self.target_stds = tuple(target_stds)

    def distance(self, x: Tensor, level: int) -> Tensor:
        deltas = times(self.scales[level](x), self.target_stds, dim=1)
        center = deltas[:, :2] * self.base_size
        half = deltas[:, 2:].clamp(-_MAX_LOG_RATIO, _MAX_LOG_RATIO).exp() * (self.base_size / 2)
        return torch.cat([half - center, half + center], dim=1)
