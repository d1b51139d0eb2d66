"""Path Aggregation Network: FPN and a way back up."""

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from rdet.models.necks.fpn import FPN
from rdet.models.necks.layers import conv_layer, init_convs, resized
from rdet.registry import MODELS
from rdet.schema import Count, Natural


@MODELS.register_module()
class PAFPN(FPN):
    """FPN with the bottom-up path augmentation of PANet (Liu et al., CVPR 2018, section 3.1).

    N3 = P3, and N_i = ReLU(conv(P_i + ReLU(downsample(N_{i-1})))) with 3x3 convolutions, the
    downsampling one with stride 2. The levels above the last are made from C5 or N5. MMDetection's
    PAFPN has no ReLU and downsamples what its last convolution has not yet seen.

    Shapes: list of (N, C_i, H_i, W_i) -> list of (N, out_channels, H_l, W_l), ``num_extra`` longer.

    Args:
        in_channels: Channels of each map of the backbone (inferred).
        in_strides: Their strides (inferred).
        out_channels: Channels of every level.
        extra_levels: Source of P6: ``'on_c5'``, ``'on_p5'`` (which is N5) or ``'on_lateral'``.
        num_extra: Number of levels above the last of the backbone.
        relu_before_p7: ReLU between P6 and what follows.
        norm_cfg, norm_on_lateral: Normalisation, see :class:`FPN`.

    Attributes:
        out_channels, strides: One number a level.
    """

    def __init__(
        self,
        in_channels: list[Count],
        in_strides: list[Count],
        out_channels: Count = 256,
        extra_levels: str = "on_c5",
        num_extra: Natural = 2,
        relu_before_p7: bool = True,
        norm_cfg: dict | None = None,
        norm_on_lateral: bool = True,
    ):
        own = (out_channels, extra_levels, num_extra, relu_before_p7, norm_cfg, norm_on_lateral)
        super().__init__(in_channels, in_strides, *own)
        # The stride is 2 unless the backbone skips a stage or has two maps of the same stride.
        steps = [above // below for below, above in pairwise(in_strides)]
        widths = (out_channels, out_channels)
        self.downsample_convs = nn.ModuleList(conv_layer(*widths, 3, step, norm_cfg) for step in steps)
        self.pafpn_convs = nn.ModuleList(conv_layer(*widths, 3, 1, norm_cfg) for _ in steps)
        init_convs(self.downsample_convs)
        init_convs(self.pafpn_convs)

    def pyramid(self, laterals: list[Tensor]) -> list[Tensor]:
        levels = super().pyramid(laterals)
        for i, (down, conv) in enumerate(zip(self.downsample_convs, self.pafpn_convs, strict=True)):
            below = resized(F.relu(down(levels[i])), levels[i + 1])
            levels[i + 1] = F.relu(conv(levels[i + 1] + below))
        return levels
