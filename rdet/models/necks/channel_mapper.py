"""One convolution a map: the plainest pyramid."""

from torch import Tensor, nn

from rdet.models.necks.layers import ExtraLevels, conv_layer, init_convs, pyramid_strides
from rdet.registry import MODELS
from rdet.schema import Count, Natural


@MODELS.register_module()
class ChannelMapper(nn.Module):
    """One convolution for each map, to one width; levels do not see each other (MMDetection's name).

    It fits backbones whose maps are already mixed, or which have a single map. Levels above the
    last are stride-2 convolutions on the last map, with ReLU between them.

    Shapes: list of (N, C_i, H_i, W_i) -> list of (N, out_channels, H_l, W_l), ``num_extra`` longer.

    Args:
        in_channels: Channels of each map of the backbone (inferred).
        in_strides: Their strides (inferred).
        out_channels: Channels of every level.
        kernel_size: Of the convolution on each map; odd.
        num_extra: Number of levels above the last of the backbone.
        norm_cfg: Normalisation of every level, as mmcv's ``build_norm_layer`` takes it, for
            example ``dict(type='GN', num_groups=32)``; None: none.

    Attributes:
        out_channels, strides: One number a level.
    """

    def __init__(
        self,
        in_channels: list[Count],
        in_strides: list[Count],
        out_channels: Count = 256,
        kernel_size: Count = 3,
        num_extra: Natural = 2,
        norm_cfg: dict | None = None,
    ):
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"ChannelMapper.kernel_size is {kernel_size}; it must be odd, or the maps would shift")
        self.convs = nn.ModuleList(conv_layer(c, out_channels, kernel_size, norm_cfg=norm_cfg) for c in in_channels)
        self.extra_convs = ExtraLevels(in_channels[-1], out_channels, num_extra, norm_cfg=norm_cfg)
        self.strides = pyramid_strides(in_strides, num_extra)
        self.out_channels = [out_channels] * len(self.strides)
        init_convs(self)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        return [*(conv(x) for conv, x in zip(self.convs, maps, strict=True)), *self.extra_convs(maps[-1])]
