"""Feature Pyramid Network with RetinaNet's levels P6 and P7."""

from torch import Tensor, nn

from rdet.models.necks.layers import ExtraLevels, conv_layer, init_convs, pyramid_strides, resized
from rdet.registry import MODELS
from rdet.schema import Count, Natural

_SOURCES = ("on_c5", "on_p5", "on_lateral")


@MODELS.register_module()
class FPN(nn.Module):
    """Feature Pyramid Network (Lin et al., CVPR 2017), P3 to P7 as in section 4 of the Focal Loss paper.

    P3 to P5 come from C3 to C5 by lateral 1x1 convolutions, a top-down path and a 3x3 convolution;
    P6 is a 3x3 stride-2 convolution on C5, P5 or the lateral map between both; P7 the same on ReLU(P6).

    Shapes: list of (N, C_i, H_i, W_i) -> list of (N, out_channels, H_l, W_l), ``num_extra`` longer.

    Args:
        in_channels: Channels of each map of the backbone (inferred).
        in_strides: Their strides (inferred).
        out_channels: Channels of every level.
        extra_levels: Source of P6: ``'on_c5'`` (paper, Detectron, Detectron2, MMDetection),
            ``'on_p5'`` (torchvision), or ``'on_lateral'``, the lateral map of C5.
        num_extra: Number of levels above the last of the backbone.
        relu_before_p7: ReLU between P6 and what follows (paper: yes, MMDetection: no).
        norm_cfg: Normalisation after each convolution, as mmcv's ``build_norm_layer`` takes it, for example
            ``dict(type='GN', num_groups=32)`` or ``dict(type='SyncBN')``; None: none.
        norm_on_lateral: Whether the lateral convolutions have it too.

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
        super().__init__()
        if extra_levels not in _SOURCES:
            valid = ", ".join(map(repr, _SOURCES))
            raise ValueError(f"{type(self).__name__}.extra_levels is {extra_levels!r}; valid: {valid}")
        self.extra_levels = extra_levels
        norm_of_lateral = norm_cfg if norm_on_lateral else None
        self.lateral_convs = nn.ModuleList(conv_layer(c, out_channels, 1, 1, norm_of_lateral) for c in in_channels)
        self.fpn_convs = nn.ModuleList(conv_layer(out_channels, out_channels, 3, 1, norm_cfg) for _ in in_channels)
        source = in_channels[-1] if extra_levels == "on_c5" else out_channels
        self.extra_convs = ExtraLevels(source, out_channels, num_extra, relu_before_p7, norm_cfg)
        self.strides = pyramid_strides(in_strides, num_extra)
        self.out_channels = [out_channels] * len(self.strides)
        init_convs(self)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        laterals = [conv(x) for conv, x in zip(self.lateral_convs, maps, strict=True)]
        levels = self.pyramid(laterals)
        source = {"on_c5": maps, "on_p5": levels, "on_lateral": laterals}[self.extra_levels][-1]
        return [*levels, *self.extra_convs(source)]

    def pyramid(self, laterals: list[Tensor]) -> list[Tensor]:
        """Compute the levels of the backbone's strides, P3 to P5, from the lateral maps (N, out_channels, H_i, W_i)."""
        merged = list(laterals)
        for i in range(len(merged) - 1, 0, -1):
            merged[i - 1] = merged[i - 1] + resized(merged[i], merged[i - 1])
        return [conv(x) for conv, x in zip(self.fpn_convs, merged, strict=True)]
