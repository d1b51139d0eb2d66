"""The layers that SSDLite puts on a small network."""

from functools import partial

from torch import Tensor, nn

from rdet.models.necks.layers import Conv2d, pyramid_strides
from rdet.models.norms import build_norm
from rdet.registry import MODELS
from rdet.schema import Count


@MODELS.register_module()
class SSDLiteNeck(nn.Module):
    """SSD's further levels with depthwise convolutions (Sandler et al., "MobileNetV2", CVPR 2018, section 6.2).

    Each is a 1x1 convolution to half of its channels, a depthwise 3x3 one of stride 2 and a 1x1 one, with ReLU6. The
    maps of the backbone stay as they are.

    Shapes: list of (N, C_i, H_i, W_i) -> list of (N, C_l, H_l, W_l), ``len(extra_channels)`` longer; each further level
    is half of the last, rounded up.

    Args:
        in_channels: Channels of each map of the backbone (inferred).
        in_strides: Their strides (inferred).
        extra_channels: Of each further level.
        norm_cfg: Normalisation, as mmcv's ``build_norm_layer`` takes it; None: batch normalisation with eps 0.001 and
            momentum 0.03, as torchvision has it.

    Attributes:
        out_channels, strides: One number a level.
    """

    def __init__(
        self,
        in_channels: list[Count],
        in_strides: list[Count],
        extra_channels: tuple[Count, ...] = (512, 256, 256, 128),
        norm_cfg: dict | None = None,
    ):
        super().__init__()
        norm_layer = partial(build_norm, norm_cfg or {"type": "BN", "eps": 0.001, "momentum": 0.03})

        def block(below: int, out: int, kernel_size: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
            conv = Conv2d(below, out, kernel_size, stride, kernel_size // 2, groups=groups, bias=False)
            return nn.Sequential(conv, norm_layer(out), nn.ReLU6(inplace=True))

        self.out_channels = [*in_channels, *extra_channels]
        self.strides = pyramid_strides(in_strides, len(extra_channels))
        self.extra_layers = nn.ModuleList()
        for below, out in zip(self.out_channels[len(in_channels) - 1 :], extra_channels, strict=False):
            half = out // 2
            self.extra_layers.append(
                nn.Sequential(block(below, half, 1), block(half, half, 3, stride=2, groups=half), block(half, out, 1))
            )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.03)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        levels = list(maps)
        for layer in self.extra_layers:
            levels.append(layer(levels[-1]))
        return levels
