"""Head of NanoDet."""

from typing import Any

import torch
from mmcv.cnn import DepthwiseSeparableConvModule
from torch import Tensor, nn

from rdet.errors import ConfigError
from rdet.models.autocast import no_autocast
from rdet.models.dense_heads.base import BaseDenseHead
from rdet.models.dense_heads.dense_head import init_head, per_prior, sizes_of
from rdet.models.norms import norms_in_eval
from rdet.registry import MODELS
from rdet.schema import Count, Fraction, Natural
from rdet.structures import DensePredictions


@MODELS.register_module()
class NanoDetHead(BaseDenseHead):
    """Light head of NanoDet (RangiLyu/nanodet 0.x, with ``share_cls_reg``): one tower a level for classes and boxes.

    A tower is depthwise-separable convolutions; a 1x1 convolution gives its classes and another its boxes. (NanoDet has
    one for both; two compute the same, and the class layer has the name that it has in other heads.) Nothing is shared
    between levels. With ``DistributionBBoxCoder`` and GFL's losses it is NanoDet's own.

    Shapes: list of L maps (N, C, H_l, W_l) -> logits (N, A, K) and deltas (N, A, D) with A = sum of H_l * W_l.

    Args:
        in_channels: C (inferred).
        num_classes: K (inferred from the data set if the config leaves it out).
        num_priors: Priors at each cell (inferred); must be 1.
        num_levels: L (inferred).
        box_dim: D (inferred).
        feat_channels: Channels of each layer.
        stacked_convs: Layers of a tower.
        kernel_size: Of the depthwise convolutions, odd.
        prior_prob: Initial probability of the foreground; see :class:`DenseHead`.
        norm_cfg: Normalisation after each convolution; NanoDet has batch normalisation.
        act_cfg: Activation after it.
        norm_eval: Keep batch normalisation in eval mode in training. Weights whose normalisation has become part of
            their convolutions, as in an exported file, need it: the statistics of a batch would undo theirs.
        autocast: Whether to follow the run's mixed precision. In bfloat16, neighbouring logits near -4 are 1/32 apart.

    Raises:
        ConfigError: The priors are not one a cell, or ``kernel_size`` is even.
    """

    def __init__(
        self,
        in_channels: Count,
        num_classes: Count,
        num_priors: Count | list[Count] = 1,
        num_levels: Count = 3,
        box_dim: Count = 32,
        feat_channels: Count = 96,
        stacked_convs: Natural = 2,
        kernel_size: Count = 3,
        prior_prob: Fraction = 0.01,
        norm_cfg: dict[str, Any] | None = {"type": "BN"},  # noqa: B006 - never changed
        act_cfg: dict[str, Any] = {"type": "LeakyReLU", "negative_slope": 0.1},  # noqa: B006 - never changed
        norm_eval: bool = False,
        autocast: bool = True,
    ):
        super().__init__()
        if num_priors != 1:
            raise ConfigError(
                f"NanoDetHead predicts one box at each cell, not {num_priors}; set model.anchor_generator to one "
                "square a cell: scales_per_octave=1, ratios=[1.0]"
            )
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ConfigError(f"kernel_size is {kernel_size}; it must be odd, or maps would grow")
        self.num_classes = num_classes
        self.box_dim = box_dim
        self.norm_eval = norm_eval
        self.autocast = autocast

        def tower() -> nn.Sequential:
            return nn.Sequential(
                *(
                    DepthwiseSeparableConvModule(
                        in_channels if i == 0 else feat_channels,
                        feat_channels,
                        kernel_size,
                        padding=kernel_size // 2,
                        norm_cfg=norm_cfg,
                        act_cfg=act_cfg,
                    )
                    for i in range(stacked_convs)
                )
            )

        width = feat_channels if stacked_convs else in_channels
        self.convs = nn.ModuleList(tower() for _ in range(num_levels))
        self.conv_cls = nn.ModuleList(nn.Conv2d(width, num_classes, 1) for _ in range(num_levels))
        self.conv_reg = nn.ModuleList(nn.Conv2d(width, box_dim, 1) for _ in range(num_levels))
        init_head(self, prior_prob, self.conv_cls)

    def train(self, mode: bool = True) -> "NanoDetHead":
        super().train(mode)
        if mode and self.norm_eval:
            norms_in_eval(self)
        return self

    def forward(self, levels: list[Tensor]) -> DensePredictions:
        if self.autocast:
            return self._predict(levels)
        with no_autocast(levels[0]):
            return self._predict([x.float() for x in levels])

    def _predict(self, levels: list[Tensor]) -> DensePredictions:
        logits, deltas = [], []
        for x, tower, conv_cls, conv_reg in zip(levels, self.convs, self.conv_cls, self.conv_reg, strict=True):
            features = tower(x)
            logits.append(per_prior(conv_cls(features), self.num_classes))
            deltas.append(per_prior(conv_reg(features), self.box_dim))
        return DensePredictions(torch.cat(logits, dim=1), torch.cat(deltas, dim=1), sizes_of(levels))
