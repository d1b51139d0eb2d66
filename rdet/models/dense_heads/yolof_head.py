"""The head of YOLOF."""

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from torch import Tensor, nn

from rdet.models.dense_heads.base import BaseDenseHead
from rdet.models.dense_heads.dense_head import init_head, per_prior, sizes_of
from rdet.registry import MODELS
from rdet.schema import Count, Fraction, Natural
from rdet.structures import DensePredictions

_BATCH_NORM = {"type": "BN"}


@MODELS.register_module()
class YOLOFHead(BaseDenseHead):
    """Two towers and an objectness that no target trains (YOLOF, Chen et al., CVPR 2021, section 4.1, "Decoder").

    The probability of a class is the product of those of class and object; both learn from the loss of the product.

    Shapes: list of L maps (N, C, H_l, W_l) -> logits (N, A, K) of the products, deltas (N, A, D), with A = sum of
    H_l * W_l * num_priors.

    Args:
        in_channels: C (inferred), also of the towers.
        num_classes: K (inferred from the data set if the config leaves it out).
        num_priors: Priors at each cell (inferred).
        box_dim: D (inferred).
        feat_channels: Channels of the towers; None: C.
        stacked_convs: Convolutions of the tower of classes.
        reg_stacked_convs: Those of the tower of boxes and objectness.
        prior_prob: Initial probability of a class; that of an object is 1 / 2. See
            :class:`~rdet.models.dense_heads.dense_head.DenseHead`.
        norm_cfg: Normalisation of the towers.
    """

    def __init__(
        self,
        in_channels: Count,
        num_classes: Count,
        num_priors: Count,
        box_dim: Count = 4,
        feat_channels: Count | None = None,
        stacked_convs: Natural = 2,
        reg_stacked_convs: Natural = 4,
        prior_prob: Fraction = 0.01,
        norm_cfg: dict[str, Any] | None = _BATCH_NORM,
    ):
        super().__init__()
        self.num_classes = num_classes
        self.box_dim = box_dim
        feat_channels = feat_channels or in_channels

        def tower(length: int) -> nn.Sequential:
            widths = [in_channels, *[feat_channels] * length]
            convs = (ConvModule(into, out, 3, padding=1, norm_cfg=norm_cfg) for into, out in pairwise(widths))
            return nn.Sequential(*convs)

        def final(length: int, numbers: int) -> nn.Conv2d:
            return nn.Conv2d(feat_channels if length else in_channels, num_priors * numbers, 3, padding=1)

        self.cls_convs = tower(stacked_convs)
        self.reg_convs = tower(reg_stacked_convs)
        self.conv_cls = final(stacked_convs, num_classes)
        self.conv_reg = final(reg_stacked_convs, box_dim)
        self.conv_object = final(reg_stacked_convs, 1)
        init_head(self, prior_prob, self.conv_cls)

    def forward(self, levels: list[Tensor]) -> DensePredictions:
        logits, deltas = [], []
        for x in levels:
            box_features = self.reg_convs(x)
            deltas.append(per_prior(self.conv_reg(box_features), self.box_dim))
            classes = per_prior(self.conv_cls(self.cls_convs(x)), self.num_classes)
            logits.append(logit_of_product(classes.float(), per_prior(self.conv_object(box_features), 1).float()))
        return DensePredictions(torch.cat(logits, dim=1), torch.cat(deltas, dim=1), sizes_of(levels))


def logit_of_product(first: Tensor, second: Tensor) -> Tensor:
    """Compute the logit of the product of two probabilities from their logits, finite for any finite logits."""
    # first + second - log(1 + exp(first) + exp(second))
    larger, difference = torch.maximum(first, second), (first - second).abs()
    return first + second - F.softplus(larger + F.softplus(-difference))
