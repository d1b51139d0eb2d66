"""Weights by how rarely a level had positives."""

import torch
import torch.distributed as dist
from torch import Tensor

from rdet.models.level_weights.base import LevelWeight
from rdet.processes import adds_up
from rdet.registry import MODELS
from rdet.schema import Count


@MODELS.register_module()
class RareLevelWeight(LevelWeight):
    """From 1 for the level that had most positives so far to 2 for that of fewest (DDOD, Chen et al., ACM MM 2021).

    The positives of all steps are counted, of classes and of boxes together; a step counts itself first, as in
    MMDetection. There each process counts its own, here those of all. Checkpoints keep the counts; in evaluation they
    stay as they are.

    Args:
        num_levels: L (inferred).
    """

    counts: Tensor

    def __init__(self, num_levels: Count):
        super().__init__()
        # Whole numbers: float32 counts to 2^24, and a training on COCO has some 10^8.
        self.register_buffer("counts", torch.zeros(num_levels, dtype=torch.int64))

    def forward(self, num_pos: Tensor) -> Tensor:
        if self.training:
            total = num_pos.long()
            if adds_up():
                dist.all_reduce(total)
            self.counts += total
        above = self.counts - self.counts.min()
        return 2 - above.float() / above.max().clamp(min=1).float()
