"""Normalizers that do not count positives, as YOLO's losses have them."""

import torch
from torch import Tensor

from rdet.models.losses.normalizers import Normalizer
from rdet.registry import MODELS


@MODELS.register_module()
class ImageCountNormalizer(Normalizer):
    """The number of images, as darknet divides YOLO's losses."""

    def __call__(self, num_pos: Tensor) -> Tensor:
        return torch.full_like(num_pos, len(num_pos), dtype=torch.float32)


@MODELS.register_module()
class SumNormalizer(Normalizer):
    """1: the losses of a process's batch are summed, as in MMDetection's YOLOv3.

    A batch of twice as many images then moves the weights twice as far.
    """

    def __call__(self, num_pos: Tensor) -> Tensor:
        return torch.ones_like(num_pos, dtype=torch.float32)
