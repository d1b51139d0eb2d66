"""The layers that SSD puts on a residual network."""

from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck

from rdet.models.necks.layers import Conv2d, pyramid_strides
from rdet.models.norms import build_norm
from rdet.registry import MODELS
from rdet.schema import Count, Natural


@MODELS.register_module()
class ResidualSSDNeck(nn.Module):
    """SSD's further levels as residual blocks, for a residual network (DSSD, Fu et al., arXiv:1701.06659, section 3.1).

    Each is a bottleneck with stride 2 on the level below. The maps of the backbone stay as they are.

    Shapes: list of (N, C_i, H_i, W_i) -> list of (N, C_l, H_l, W_l), ``num_extra`` longer; each further level is half
    of the last, rounded up.

    Args:
        in_channels: Channels of each map of the backbone (inferred).
        in_strides: Their strides (inferred).
        num_extra: Further levels.
        extra_channels: Of each, four times those of its 3x3 convolution.
        norm_cfg: Normalisation in the blocks, as mmcv's ``build_norm_layer`` takes it.

    Attributes:
        out_channels, strides: One number a level.
    """

    def __init__(
        self,
        in_channels: list[Count],
        in_strides: list[Count],
        num_extra: Natural = 4,
        extra_channels: Count = 1024,
        norm_cfg: dict | None = None,
    ):
        super().__init__()
        norm_cfg = {"type": "BN"} if norm_cfg is None else norm_cfg
        width = extra_channels // Bottleneck.expansion
        if width * Bottleneck.expansion != extra_channels:
            raise ValueError(f"neck.extra_channels is {extra_channels}; a bottleneck needs a multiple of 4")
        self.extra_layers = nn.ModuleList()
        widths = list(in_channels)
        for _ in range(num_extra):
            shortcut = nn.Sequential(
                nn.Conv2d(widths[-1], extra_channels, 1, 2, bias=False), build_norm(norm_cfg, extra_channels)
            )
            block = Bottleneck(
                widths[-1], width, 2, shortcut, norm_layer=lambda channels: build_norm(norm_cfg, channels)
            )
            block.conv2 = Conv2d(width, width, 3, stride=2, padding=1, bias=False)
            self.extra_layers.append(block)
            widths.append(extra_channels)
        self.out_channels = widths
        self.strides = pyramid_strides(in_strides, num_extra)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")  # as in ResNet

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        levels = list(maps)
        for layer in self.extra_layers:
            levels.append(layer(levels[-1]))
        return levels
