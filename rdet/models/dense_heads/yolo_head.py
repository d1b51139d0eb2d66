"""The head of YOLOv2 and YOLOv3."""

import torch
from torch import Tensor, nn

from rdet.models.csp import DARKNET_NORM, LEAKY, Cfg, ConvFactory, init_uniform
from rdet.models.dense_heads.base import BaseDenseHead
from rdet.models.dense_heads.dense_head import init_bias, per_prior, sizes_of
from rdet.registry import MODELS
from rdet.schema import Count, Fraction
from rdet.structures import DensePredictions


@MODELS.register_module()
class YOLOHead(BaseDenseHead):
    """A 3x3 convolution a level, then 1x1 ones of boxes, objectness and classes (YOLOv3, Redmon and Farhadi, 2018).

    Levels share nothing. In darknet, a prior's box, objectness and classes are the outputs of one convolution.

    Shapes: list of L maps (N, C_l, H_l, W_l) -> logits (N, A, K), deltas (N, A, D) and, with quality, quality (N, A),
    with A = sum of H_l * W_l * num_priors in the order of the priors.

    Args:
        in_channels: C_l (inferred).
        num_classes: K (inferred from the data set if the config leaves it out).
        num_priors: Priors at each cell (inferred); where levels have different numbers, a list.
        box_dim: D (inferred).
        with_quality: Predict objectness at every prior (inferred: whether there is a ``loss_obj`` or ``loss_quality``).
        feat_channels: Channels of each level's 3x3 convolution; None: twice C_l.
        prior_prob: Initial probability of a class.
        object_prob: Initial probability of an object, of all levels or of each.
        norm_cfg, act_cfg: Of the 3x3 convolutions.

    Raises:
        ValueError: There are not as many numbers as levels.
    """

    width_of_each_level = True

    def __init__(
        self,
        in_channels: list[Count],
        num_classes: Count,
        num_priors: Count | list[Count],
        box_dim: Count = 4,
        with_quality: bool = True,
        feat_channels: list[Count] | None = None,
        prior_prob: Fraction = 0.01,
        object_prob: Fraction | list[Fraction] = 0.01,
        norm_cfg: Cfg = DARKNET_NORM,
        act_cfg: Cfg = LEAKY,
    ):
        super().__init__()
        self.num_classes = num_classes
        self.box_dim = box_dim
        self.priors_per_cell = None if isinstance(num_priors, int) else list(num_priors)
        priors = [num_priors] * len(in_channels) if isinstance(num_priors, int) else list(num_priors)
        widths = [2 * width for width in in_channels] if feat_channels is None else list(feat_channels)
        probs = list(object_prob) if isinstance(object_prob, list | tuple) else [object_prob] * len(in_channels)
        for name, count in {"feat_channels": len(widths), "object_prob": len(probs)}.items():
            if count != len(in_channels):
                raise ValueError(f"bbox_head.{name} has {count} numbers, but there are {len(in_channels)} levels")
        make = ConvFactory(norm_cfg, act_cfg)

        def finals(numbers: int) -> nn.ModuleList:
            return nn.ModuleList(
                nn.Conv2d(width, count * numbers, 1) for width, count in zip(widths, priors, strict=True)
            )

        self.convs = nn.ModuleList(make.spatial(*each) for each in zip(in_channels, widths, strict=True))
        self.conv_cls, self.conv_reg = finals(num_classes), finals(box_dim)
        self.conv_quality = finals(1) if with_quality else None
        init_uniform(self)
        for layers in (self.conv_cls, self.conv_reg, self.conv_quality):
            for parameter in () if layers is None else layers.parameters():
                if parameter.ndim == 4:
                    nn.init.normal_(parameter, std=0.01)
        init_bias(prior_prob, self.conv_cls)
        for layer, prob in zip(self.conv_quality or (), probs, strict=False):
            init_bias(prob, layer)

    def forward(self, levels: list[Tensor]) -> DensePredictions:
        logits, deltas, quality = [], [], []
        for level, x in enumerate(levels):
            x = self.convs[level](x)
            logits.append(per_prior(self.conv_cls[level](x), self.num_classes))
            deltas.append(per_prior(self.conv_reg[level](x), self.box_dim))
            if self.conv_quality is not None:
                quality.append(per_prior(self.conv_quality[level](x), 1).squeeze(2))
        return DensePredictions(
            torch.cat(logits, dim=1),
            torch.cat(deltas, dim=1),
            sizes_of(levels),
            torch.cat(quality, dim=1) if quality else None,
            priors_per_cell=self.priors_per_cell,
        )
