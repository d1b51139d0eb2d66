"""Feature Pyramid Network with RetinaNet's levels P6 and P7."""

import torch.nn.functional as F
from torch import Tensor, nn

from rdet.registry import MODELS


@MODELS.register_module()
class FPN(nn.Module):
    """Feature Pyramid Network (Lin et al., CVPR 2017), P3 to P7 as in section 4 of the Focal Loss paper.

    P3 to P5 come from C3 to C5 by lateral 1x1 convolutions, a top-down path and a 3x3 convolution;
    P6 is a 3x3 stride-2 convolution on C5 or P5; P7 the same on ReLU(P6).

    Shapes: list of (N, C_i, H_i, W_i) -> list of (N, out_channels, H_l, W_l), ``num_extra`` longer.

    Args:
        in_channels: Channels of each map of the backbone (inferred).
        in_strides: Their strides (inferred).
        out_channels: Channels of every level.
        extra_levels: Source of P6: ``'on_c5'`` (paper, Detectron, Detectron2, MMDetection) or
            ``'on_p5'`` (torchvision).
        num_extra: Number of levels above the last of the backbone.
        relu_before_p7: ReLU between P6 and what follows (paper: yes, MMDetection: no).

    Attributes:
        out_channels, strides: One number a level.
    """

    def __init__(
        self,
        in_channels: list[int],
        in_strides: list[int],
        out_channels: int = 256,
        extra_levels: str = "on_c5",
        num_extra: int = 2,
        relu_before_p7: bool = True,
    ):
        super().__init__()
        if extra_levels not in ("on_c5", "on_p5"):
            raise ValueError(f"FPN.extra_levels is {extra_levels!r}; valid: 'on_c5', 'on_p5'")
        self.extra_from_input = extra_levels == "on_c5"
        self.relu_before_p7 = relu_before_p7
        self.lateral_convs = nn.ModuleList(nn.Conv2d(c, out_channels, 1) for c in in_channels)
        self.fpn_convs = nn.ModuleList(nn.Conv2d(out_channels, out_channels, 3, padding=1) for _ in in_channels)
        first = in_channels[-1] if self.extra_from_input else out_channels
        self.extra_convs = nn.ModuleList(
            nn.Conv2d(first if i == 0 else out_channels, out_channels, 3, stride=2, padding=1) for i in range(num_extra)
        )
        levels = len(in_channels) + num_extra
        self.out_channels = [out_channels] * levels
        self.strides = [*in_strides, *(in_strides[-1] * 2 ** (i + 1) for i in range(num_extra))]
        for module in self.modules():
            if isinstance(module, nn.Conv2d):  # as Lin et al. do: Caffe's XavierFill
                nn.init.kaiming_uniform_(module.weight, a=1)
                nn.init.zeros_(module.bias)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        merged = [conv(x) for conv, x in zip(self.lateral_convs, maps, strict=True)]
        for i in range(len(merged) - 1, 0, -1):
            # Sizes need not halve exactly, hence `size` and not `scale_factor`.
            merged[i - 1] = merged[i - 1] + F.interpolate(merged[i], size=merged[i - 1].shape[-2:])
        levels = [conv(x) for conv, x in zip(self.fpn_convs, merged, strict=True)]
        x = maps[-1] if self.extra_from_input else levels[-1]
        for i, conv in enumerate(self.extra_convs):
            x = conv(F.relu(x) if i > 0 and self.relu_before_p7 else x)
            levels.append(x)
        return levels
