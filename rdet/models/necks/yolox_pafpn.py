"""The pyramid of YOLOX."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from rdet.models.csp import BATCH_NORM, SILU, Cfg, ConvFactory, CSPLayer, DarknetBlock, init_uniform
from rdet.models.necks.layers import resized
from rdet.models.norms import norms_in_eval
from rdet.registry import MODELS
from rdet.schema import Count


@MODELS.register_module()
class YOLOXPAFPN(nn.Module):
    """Path aggregation of CSP layers, from the top down and up again (YOLOX, Ge et al., arXiv:2107.08430; YOLOv5).

    On the way down, a map is reduced to the width of the next, enlarged, joined with it and passed by a CSP layer; on
    the way up, halved by a convolution, joined and passed. A 1x1 convolution then gives each level its width (in
    YOLOX's own code it belongs to the head). Names of weights are MMDetection's.

    Shapes: list of (N, C_i, H_i, W_i) -> list of (N, out_channels, H_i, W_i).

    Args:
        in_channels: Channels of each map of the backbone (inferred).
        in_strides: Their strides (inferred).
        out_channels: Channels of every level.
        num_csp_blocks: Blocks of a CSP layer.
        use_depthwise: Whether 3x3 convolutions are depthwise-separable, as of YOLOX-nano.
        norm_cfg, act_cfg: Of each convolution.
        norm_eval: Keep batch normalisation in eval mode in training, as weights need whose normalisation has become
            part of their convolutions.

    Attributes:
        out_channels, strides: One number a level.
    """

    def __init__(
        self,
        in_channels: list[Count],
        in_strides: list[Count],
        out_channels: Count = 256,
        num_csp_blocks: Count = 3,
        use_depthwise: bool = False,
        norm_cfg: Cfg = BATCH_NORM,
        act_cfg: Cfg = SILU,
        norm_eval: bool = False,
    ):
        super().__init__()
        self.norm_eval = norm_eval
        self.make = make = ConvFactory(norm_cfg, act_cfg, use_depthwise)
        steps = list(zip(pairwise(in_channels), pairwise(in_strides), strict=True))
        down = [widths for widths, _ in reversed(steps)]
        self.reduce_layers = nn.ModuleList(make.plain(above, below) for below, above in down)
        self.top_down_blocks = nn.ModuleList(self.layer(2 * below, below, num_csp_blocks) for below, _ in down)
        # The stride is 2 unless the backbone skips a stage or has two maps of the same stride.
        self.downsamples = nn.ModuleList(make.spatial(below, below, high // low) for (below, _), (low, high) in steps)
        self.bottom_up_blocks = nn.ModuleList(
            self.layer(2 * below, above, num_csp_blocks) for (below, above), _ in steps
        )
        self.out_convs = nn.ModuleList(self.last(width, out_channels) for width in in_channels)
        self.strides = list(in_strides)
        self.out_channels = [out_channels] * len(in_channels)
        init_uniform(self)

    def layer(self, in_channels: int, out_channels: int, num_blocks: int) -> nn.Module:
        """Make what a joined map passes."""
        blocks = [lambda width: DarknetBlock(width, self.make, add_identity=False)] * num_blocks
        return CSPLayer(in_channels, out_channels, blocks, self.make)

    def last(self, in_channels: int, out_channels: int) -> nn.Module:
        """Make what gives a level its width."""
        return self.make.plain(in_channels, out_channels)

    def train(self, mode: bool = True) -> "YOLOXPAFPN":
        super().train(mode)
        if mode and self.norm_eval:
            norms_in_eval(self)
        return self

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        levels = list(maps)
        for i, (reduce, layer) in enumerate(zip(self.reduce_layers, self.top_down_blocks, strict=True)):
            top = len(levels) - 1 - i
            levels[top] = reduce(levels[top])
            levels[top - 1] = layer(torch.cat([resized(levels[top], levels[top - 1]), levels[top - 1]], dim=1))
        for i, (down, layer) in enumerate(zip(self.downsamples, self.bottom_up_blocks, strict=True)):
            levels[i + 1] = layer(torch.cat([resized(down(levels[i]), levels[i + 1]), levels[i + 1]], dim=1))
        return [conv(x) for conv, x in zip(self.out_convs, levels, strict=True)]
