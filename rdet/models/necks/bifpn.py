"""Bidirectional Feature Pyramid Network of EfficientDet."""

from functools import reduce
from operator import add

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rdet.models.necks.layers import conv_layer, init_convs, pyramid_strides, resized
from rdet.models.norms import build_norm
from rdet.registry import MODELS
from rdet.schema import Count, Natural, NotNegative


@MODELS.register_module()
class BiFPN(nn.Module):
    """BiFPN (Tan et al., CVPR 2020, section 3): weighted paths down and up, several times over.

    A 1x1 convolution gives each map its width; P6 is one on C5 and a max-pooling, P7 a max-pooling
    of P6. One :class:`_Block` then sees all levels, so P6 and P7 take part in the fusion. As in the
    authors' code, the activation (SiLU) stands before each convolution of a block. Unlike there, the
    two uses of a backbone's map in the first block share one 1x1 convolution.

    Shapes: list of (N, C_i, H_i, W_i) -> list of (N, out_channels, H_l, W_l), ``num_extra`` longer.

    Args:
        in_channels: Channels of each map of the backbone (inferred).
        in_strides: Their strides (inferred).
        out_channels: Channels of every level; EfficientDet-D0 to D2 have 64, 88, 112.
        num_blocks: Repeats of the block; EfficientDet-D0 to D2 have 3, 4, 5.
        num_extra: Number of levels above the last of the backbone.
        norm_cfg: Normalisation after each convolution, as mmcv's ``build_norm_layer`` takes it;
            for a few images a process, ``dict(type='GN', num_groups=...)``. None: none.

    Attributes:
        out_channels, strides: One number a level.
    """

    def __init__(
        self,
        in_channels: list[Count],
        in_strides: list[Count],
        out_channels: Count = 64,
        num_blocks: Count = 3,
        num_extra: Natural = 2,
        norm_cfg: dict | None = {"type": "BN"},  # noqa: B006 - never changed
    ):
        super().__init__()
        if num_blocks < 1:
            raise ValueError(f"BiFPN.num_blocks is {num_blocks}; it must be 1 or more")
        self.num_extra = num_extra
        self.lateral_convs = nn.ModuleList(conv_layer(c, out_channels, 1, norm_cfg=norm_cfg) for c in in_channels)
        if num_extra:
            self.extra_conv = conv_layer(in_channels[-1], out_channels, 1, norm_cfg=norm_cfg)
        self.strides = pyramid_strides(in_strides, num_extra)
        self.out_channels = [out_channels] * len(self.strides)
        self.blocks = nn.ModuleList(_Block(len(self.strides), out_channels, norm_cfg) for _ in range(num_blocks))
        init_convs(self)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        levels = [conv(x) for conv, x in zip(self.lateral_convs, maps, strict=True)]
        for i in range(self.num_extra):
            levels.append(_halved(levels[-1] if i > 0 else self.extra_conv(maps[-1])))
        for block in self.blocks:
            levels = block(levels)
        return levels


class _Block(nn.Module):
    """One way down and one way up (figure 2d), L levels -> L levels of the same sizes.

    Down: T_i of P_i and the T above; T_1, the lowest, is the output Q_1. Up: Q_i of P_i, T_i and the
    Q below; the topmost Q_L of P_L and the Q below. A single level passes unchanged.
    """

    def __init__(self, levels: int, channels: int, norm_cfg: dict | None):
        super().__init__()
        self.down = nn.ModuleList(_Fusion(2, channels, norm_cfg) for _ in range(levels - 1))  # T_1 .. T_{L-1}
        self.up = nn.ModuleList(_Fusion(3 if i < levels - 1 else 2, channels, norm_cfg) for i in range(1, levels))

    def forward(self, inputs: list[Tensor]) -> list[Tensor]:
        down = list(inputs)
        for i in reversed(range(len(self.down))):
            down[i] = self.down[i]([inputs[i], resized(down[i + 1], inputs[i])])
        outputs = down[:1]
        for i, fuse in enumerate(self.up, start=1):
            below = outputs[-1] if outputs[-1].shape == inputs[i].shape else _halved(outputs[-1])
            same_level = [inputs[i], down[i]] if i < len(self.up) else [inputs[i]]
            outputs.append(fuse([*same_level, resized(below, inputs[i])]))
        return outputs


class _Fusion(nn.Module):
    """Fast normalised fusion (section 3.3): sum of w_i x_i / (eps + sum of w_i), w = ReLU(weight); then SiLU and a
    depthwise separable 3x3 convolution."""

    def __init__(self, inputs: int, channels: int, norm_cfg: dict | None, eps: NotNegative = 1e-4):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(inputs))
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=norm_cfg is None)
        self.norm = nn.Identity() if norm_cfg is None else build_norm(norm_cfg, channels)

    def forward(self, inputs: list[Tensor]) -> Tensor:
        weight = F.relu(self.weight)
        weight = weight / (weight.sum() + self.eps)
        fused = reduce(add, (w * x for w, x in zip(weight, inputs, strict=True)))
        return self.norm(self.pointwise(self.depthwise(F.silu(fused))))


def _halved(x: Tensor) -> Tensor:
    """Halve a map by the maxima of 3x3 cells: (N, C, H, W) -> (N, C, ceil(H / 2), ceil(W / 2))."""
    return F.max_pool2d(x, 3, stride=2, padding=1)
