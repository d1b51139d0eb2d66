"""SSD's predictors."""

import torch
from torch import Tensor, nn

from rdet.models.dense_heads.base import BaseDenseHead
from rdet.models.dense_heads.dense_head import per_prior, sizes_of
from rdet.models.xavier import init_xavier
from rdet.registry import MODELS
from rdet.schema import Count
from rdet.structures import DensePredictions


@MODELS.register_module()
class SSDHead(BaseDenseHead):
    """One 3x3 convolution a level for the classes and one for the boxes (SSD, Liu et al., ECCV 2016, section 2.1).

    The convolution of the classes has K + 1 outputs a prior, the last of them of the background. A softmax does not
    change when all are shifted: logits are returned as what each class is above the background, which is how
    ``SoftmaxFocalLoss`` takes them (with ``gamma=0, alpha=None`` it is SSD's softmax loss).

    Shapes: list of L maps (N, C_l, H_l, W_l) -> logits (N, A, K), deltas (N, A, D).

    Args:
        in_channels: C_l of each level (inferred).
        num_classes: K (inferred from the data set if the config leaves it out).
        num_priors: Priors at each cell, one number or one a level (inferred).
        box_dim: D (inferred).
    """

    width_of_each_level = True

    def __init__(
        self, in_channels: list[Count], num_classes: Count, num_priors: Count | list[Count], box_dim: Count = 4
    ):
        super().__init__()
        counts = [num_priors] * len(in_channels) if isinstance(num_priors, int) else list(num_priors)
        self.num_classes, self.box_dim, self.priors_per_cell = num_classes, box_dim, counts
        levels = list(zip(in_channels, counts, strict=True))
        self.conv_cls = nn.ModuleList(self.predictor(c, n * (num_classes + 1)) for c, n in levels)
        self.conv_reg = nn.ModuleList(self.predictor(c, n * box_dim) for c, n in levels)
        self.init_layers()

    def predictor(self, in_channels: int, out_channels: int) -> nn.Module:
        """Make the layers that predict at one level."""
        return nn.Conv2d(in_channels, out_channels, 3, padding=1)

    def init_layers(self) -> None:
        """Draw the weights of all predictors."""
        init_xavier(self)

    def forward(self, levels: list[Tensor]) -> DensePredictions:
        parts = list(zip(self.conv_cls, self.conv_reg, levels, strict=True))
        logits = torch.cat([per_prior(classify(x), self.num_classes + 1) for classify, _, x in parts], dim=1)
        deltas = torch.cat([per_prior(regress(x), self.box_dim) for _, regress, x in parts], dim=1)
        above = logits[..., :-1] - logits[..., -1:]
        return DensePredictions(above, deltas, sizes_of(levels), priors_per_cell=self.priors_per_cell)
