"""The neck of YOLOv2."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rdet.models.csp import DARKNET_NORM, LEAKY, Cfg, ConvFactory, init_uniform
from rdet.models.necks.layers import resized
from rdet.registry import MODELS
from rdet.schema import Count, Natural


@MODELS.register_module()
class PassthroughNeck(nn.Module):
    """One level, with the finer map beside it, four of its cells as one (YOLO9000, Redmon and Farhadi, CVPR 2017).

    The coarse map passes 3x3 convolutions, the finer one a 1x1 convolution; then each 2 x 2 cells of it become one of
    four times the channels ("Fine-Grained Features", section 2).

    Shapes: two maps (N, C_i, H_i, W_i), the second half as large -> one of (N, 4 * passthrough_channels + channels,
    H_2, W_2).

    Args:
        in_channels: Channels of the two maps (inferred).
        in_strides: Their strides (inferred).
        channels: Of the 3x3 convolutions.
        num_convs: How many there are.
        passthrough_channels: Of the 1x1 convolution.
        norm_cfg, act_cfg: Of each convolution.

    Attributes:
        out_channels, strides: Of the one level.

    Raises:
        ValueError: The backbone does not give two maps, the second of twice the stride.
    """

    def __init__(
        self,
        in_channels: list[Count],
        in_strides: list[Count],
        channels: Count = 1024,
        num_convs: Natural = 2,
        passthrough_channels: Count = 64,
        norm_cfg: Cfg = DARKNET_NORM,
        act_cfg: Cfg = LEAKY,
    ):
        super().__init__()
        if len(in_strides) != 2 or in_strides[1] != 2 * in_strides[0]:
            raise ValueError(
                f"PassthroughNeck joins two maps, the second of twice the stride; the backbone gives strides "
                f"{list(in_strides)}: set its out_indices"
            )
        make = ConvFactory(norm_cfg, act_cfg)
        fine, coarse = in_channels
        widths = [coarse, *[channels] * num_convs]
        self.convs = nn.Sequential(*(make.spatial(below, channels) for below in widths[:-1]))
        self.passthrough = make.plain(fine, passthrough_channels)
        self.strides = [in_strides[1]]
        self.out_channels = [4 * passthrough_channels + widths[-1]]
        init_uniform(self)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        fine, coarse = maps
        coarse = self.convs(coarse)
        fine = self.passthrough(fine)
        height, width = fine.shape[-2:]
        if height % 2 or width % 2:
            fine = F.pad(fine, (0, width % 2, 0, height % 2))
        return [torch.cat([resized(F.pixel_unshuffle(fine, 2), coarse), coarse], dim=1)]
