"""One level whose convolutions see objects of all sizes."""

from mmcv.cnn import ConvModule
from torch import Tensor, nn

from rdet.models.necks.layers import init_convs
from rdet.models.norms import build_norm
from rdet.registry import MODELS
from rdet.schema import Count

_BATCH_NORM = {"type": "BN"}


@MODELS.register_module()
class DilatedEncoder(nn.Module):
    """A single level from the backbone's last map (YOLOF, Chen et al., CVPR 2021, section 4.1 and Figure 5).

    A 1x1 and a 3x3 convolution, then residual blocks whose 3x3 convolutions have holes: together they see small and
    large objects, as a pyramid does.

    Shapes: list of (N, C_i, H_i, W_i) -> list of one (N, out_channels, H, W), of the last map's size.

    Args:
        in_channels: Channels of each map of the backbone (inferred); the last is read.
        in_strides: Their strides (inferred).
        out_channels: Channels of the level.
        block_channels: Channels inside the blocks.
        dilations: Step between the cells that a block's 3x3 convolution reads, for each block.
        norm_cfg: Normalisation after each convolution.

    Attributes:
        out_channels, strides: One number, of the one level.
    """

    def __init__(
        self,
        in_channels: list[Count],
        in_strides: list[Count],
        out_channels: Count = 512,
        block_channels: Count = 128,
        dilations: tuple[Count, ...] = (2, 4, 6, 8),
        norm_cfg: dict = _BATCH_NORM,
    ):
        super().__init__()
        self.lateral_conv = nn.Conv2d(in_channels[-1], out_channels, 1)
        self.lateral_norm = build_norm(norm_cfg, out_channels)
        self.fpn_conv = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.fpn_norm = build_norm(norm_cfg, out_channels)
        self.blocks = nn.Sequential(
            *(_DilatedBlock(out_channels, block_channels, dilation, norm_cfg) for dilation in dilations)
        )
        self.out_channels = [out_channels]
        self.strides = [in_strides[-1]]
        init_convs(self)
        for module in self.blocks.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.01)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        x = self.lateral_norm(self.lateral_conv(maps[-1]))
        return [self.blocks(self.fpn_norm(self.fpn_conv(x)))]


class _DilatedBlock(nn.Module):
    """A bottleneck on a residual path: (N, channels, H, W) -> the same."""

    def __init__(self, channels: int, hidden: int, dilation: int, norm_cfg: dict):
        super().__init__()
        self.conv1 = ConvModule(channels, hidden, 1, norm_cfg=norm_cfg)
        self.conv2 = ConvModule(hidden, hidden, 3, padding=dilation, dilation=dilation, norm_cfg=norm_cfg)
        self.conv3 = ConvModule(hidden, channels, 1, norm_cfg=norm_cfg)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv3(self.conv2(self.conv1(x)))
