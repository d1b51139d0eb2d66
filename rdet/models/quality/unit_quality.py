"""No difference between positives."""

import torch
from torch import Tensor

from rdet.models.quality.base import Quality
from rdet.registry import MODELS
from rdet.structures.positives import Positives


@MODELS.register_module()
class UnitQuality(Quality):
    """1 for every positive: soft targets become hard ones, as YOLOv3's classes have them."""

    def of(self, positives: Positives) -> Tensor:
        return torch.ones_like(positives.weight)
