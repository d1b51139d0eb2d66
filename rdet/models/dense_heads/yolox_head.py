"""The decoupled head of YOLOX."""

import torch
from torch import Tensor, nn

from rdet.errors import ConfigError
from rdet.models.csp import BATCH_NORM, SILU, Cfg, ConvFactory, init_uniform
from rdet.models.dense_heads.base import BaseDenseHead
from rdet.models.dense_heads.dense_head import init_bias, per_prior, sizes_of
from rdet.models.norms import norms_in_eval
from rdet.registry import MODELS
from rdet.schema import Count, Fraction, Natural
from rdet.structures import DensePredictions


@MODELS.register_module()
class YOLOXHead(BaseDenseHead):
    """Decoupled head (YOLOX, Ge et al., arXiv:2107.08430, section 2.1): a tower of classes and one of boxes.

    1x1 convolutions give classes from the one, boxes and, with quality, objectness from the other. Levels share
    nothing.

    Shapes: list of L maps (N, C, H_l, W_l) -> logits (N, A, K), deltas (N, A, D) and, with quality, quality (N, A),
    with A = sum of H_l * W_l.

    Args:
        in_channels: C (inferred).
        num_classes: K (inferred from the data set if the config leaves it out).
        num_priors: Priors at each cell (inferred); must be 1.
        num_levels: L (inferred).
        box_dim: D (inferred).
        with_quality: Predict objectness at every prior (inferred: whether there is a ``loss_obj`` or ``loss_quality``).
        feat_channels: Channels of a tower.
        stacked_convs: Its convolutions.
        use_depthwise: Whether they are depthwise-separable, as of YOLOX-nano.
        prior_prob: Initial probability of class and object; see :class:`DenseHead`.
        norm_cfg, act_cfg: Of the towers.
        norm_eval: Keep batch normalisation in eval mode in training, as weights need whose normalisation has become
            part of their convolutions.

    Raises:
        ConfigError: The priors are not one a cell.
    """

    def __init__(
        self,
        in_channels: Count,
        num_classes: Count,
        num_priors: Count | list[Count] = 1,
        num_levels: Count = 3,
        box_dim: Count = 4,
        with_quality: bool = True,
        feat_channels: Count = 256,
        stacked_convs: Natural = 2,
        use_depthwise: bool = False,
        prior_prob: Fraction = 0.01,
        norm_cfg: Cfg = BATCH_NORM,
        act_cfg: Cfg = SILU,
        norm_eval: bool = False,
    ):
        super().__init__()
        if num_priors != 1:
            raise ConfigError(
                f"{type(self).__name__} predicts one box at each cell, not {num_priors}; set model.anchor_generator to "
                "dict(type='PointGenerator'), or to one square a cell: scales_per_octave=1, ratios=[1.0]"
            )
        self.num_classes = num_classes
        self.box_dim = box_dim
        self.norm_eval = norm_eval
        make = ConvFactory(norm_cfg, act_cfg, use_depthwise)
        width = feat_channels if stacked_convs else in_channels

        def towers() -> nn.ModuleList:
            widths = [in_channels, *[feat_channels] * stacked_convs]
            return nn.ModuleList(
                nn.Sequential(*(make.spatial(below, feat_channels) for below in widths[:-1])) for _ in range(num_levels)
            )

        def finals(numbers: int) -> nn.ModuleList:
            return nn.ModuleList(nn.Conv2d(width, numbers, 1) for _ in range(num_levels))

        self.cls_convs, self.reg_convs = towers(), towers()
        self.conv_cls, self.conv_reg = finals(num_classes), finals(box_dim)
        self.conv_quality = finals(1) if with_quality else None
        self.initialise()
        init_bias(prior_prob, self.conv_cls, *([] if self.conv_quality is None else [self.conv_quality]))

    def initialise(self) -> None:
        """Initialise the convolutions; the biases of probabilities are set afterwards."""
        init_uniform(self)

    def train(self, mode: bool = True) -> "YOLOXHead":
        super().train(mode)
        if mode and self.norm_eval:
            norms_in_eval(self)
        return self

    def forward(self, levels: list[Tensor]) -> DensePredictions:
        logits, deltas, quality = [], [], []
        for level, x in enumerate(levels):
            box_features = self.reg_convs[level](x)
            logits.append(per_prior(self.conv_cls[level](self.cls_convs[level](x)), self.num_classes))
            deltas.append(per_prior(self.regress(box_features, level), self.box_dim))
            if self.conv_quality is not None:
                quality.append(per_prior(self.conv_quality[level](box_features), 1).squeeze(2))
        return DensePredictions(
            torch.cat(logits, dim=1),
            torch.cat(deltas, dim=1),
            sizes_of(levels),
            torch.cat(quality, dim=1) if quality else None,
        )

    def regress(self, x: Tensor, level: int) -> Tensor:
        """Read the boxes of one level from its tower's features: (N, C, H, W) -> (N, D, H, W)."""
        output: Tensor = self.conv_reg[level](x)
        return output
