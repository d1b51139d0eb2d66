"""The two subnets of RetinaNet."""

import math

import torch
from mmcv.cnn import ConvModule
from torch import Tensor, nn

from rdet.registry import MODELS
from rdet.structures import DensePredictions


@MODELS.register_module()
class RetinaHead(nn.Module):
    """Classification and box regression subnets (Focal Loss paper, section 4 and Figure 3).

    Each subnet is ``stacked_convs`` 3x3 convolutions with ReLU and a final 3x3 convolution; the
    two share nothing with each other and everything between levels.

    Shapes: list of L maps (N, C, H_l, W_l) -> logits (N, A, K) and deltas (N, A, D) with
    A = sum of H_l * W_l * num_priors, in the order of :class:`AnchorGenerator`.

    Args:
        in_channels: C (inferred).
        num_classes: K (inferred from the data set if the config leaves it out).
        num_priors: Priors at each cell (inferred).
        box_dim: D (inferred).
        feat_channels: Channels inside the subnets.
        stacked_convs: Convolutions before the final one.
        prior_prob: Probability pi that every prior is foreground, as the final bias says it at
            the start of training (section 4.1, "Initialization").
        norm_cfg: Normalisation after each inner convolution, for example
            ``dict(type='GN', num_groups=32)``; None as in the paper.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        num_priors: int,
        box_dim: int = 4,
        feat_channels: int = 256,
        stacked_convs: int = 4,
        prior_prob: float = 0.01,
        norm_cfg: dict | None = None,
    ):
        super().__init__()
        self.num_classes = num_classes
        self.box_dim = box_dim
        self.cls_convs = _tower(in_channels, feat_channels, stacked_convs, norm_cfg)
        self.reg_convs = _tower(in_channels, feat_channels, stacked_convs, norm_cfg)
        width = feat_channels if stacked_convs else in_channels
        self.retina_cls = nn.Conv2d(width, num_priors * num_classes, 3, padding=1)
        self.retina_reg = nn.Conv2d(width, num_priors * box_dim, 3, padding=1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.01)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.constant_(self.retina_cls.bias, -math.log((1 - prior_prob) / prior_prob))

    def forward(self, levels: list[Tensor]) -> DensePredictions:
        logits = [self.retina_cls(self.cls_convs(x)) for x in levels]
        deltas = [self.retina_reg(self.reg_convs(x)) for x in levels]
        return DensePredictions(
            torch.cat([_flatten(x, self.num_classes) for x in logits], dim=1),
            torch.cat([_flatten(x, self.box_dim) for x in deltas], dim=1),
            [tuple(x.shape[-2:]) for x in levels],
        )


def _tower(in_channels: int, channels: int, depth: int, norm_cfg: dict | None) -> nn.Sequential:
    return nn.Sequential(
        *(
            ConvModule(in_channels if i == 0 else channels, channels, 3, padding=1, norm_cfg=norm_cfg)
            for i in range(depth)
        )
    )


def _flatten(x: Tensor, width: int) -> Tensor:
    """(N, P * width, H, W) -> (N, H * W * P, width)"""
    return x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, width)
