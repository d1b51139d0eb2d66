"""The backbone of RTMDet."""

from torch import nn

from rdet.models.backbones.csp_backbone import CSPBackbone
from rdet.models.csp import BATCH_NORM, SILU, Cfg, ConvFactory, CSPLayer
from rdet.models.csp_next import ChannelAttention, CSPNeXtBlock
from rdet.registry import MODELS
from rdet.schema import Count, Natural, Positive


@MODELS.register_module()
class CSPNeXt(CSPBackbone):
    """CSPNeXt (RTMDet, Lyu et al., arXiv:2212.07784, section 3.2): blocks of large kernels, and channel attention.

    The stem is three 3x3 convolutions. For stages and shapes see :class:`CSPBackbone`.

    Args:
        deepen_factor: Factor of the numbers of blocks, 3, 6, 6, 3: of tiny 1 / 6, s 1 / 3, m 2 / 3, l 1, x 4 / 3.
        widen_factor: Factor of the widths, 64 of the stem to 1024: of tiny 0.375, s 0.5, m 0.75, l 1, x 1.25.
        use_depthwise: Whether all convolutions of 3x3 but the stem's are depthwise-separable.
        channel_attention: Whether each stage weighs its channels.
        out_indices: Stages whose maps are returned, 0 to 3.
        norm_cfg, act_cfg: Of each convolution.
        frozen_stages, norm_eval, weights: See :class:`Backbone`.
        in_channels: Of the images.
    """

    num_blocks = (3, 6, 6, 3)

    def __init__(
        self,
        deepen_factor: Positive = 1.0,
        widen_factor: Positive = 1.0,
        use_depthwise: bool = False,
        channel_attention: bool = True,
        out_indices: tuple[Natural, ...] = (1, 2, 3),
        norm_cfg: Cfg = BATCH_NORM,
        act_cfg: Cfg = SILU,
        frozen_stages: Natural = 0,
        norm_eval: bool = False,
        weights: str | None = None,
        in_channels: Count = 3,
    ):
        self._attention = ChannelAttention if channel_attention else None
        make = ConvFactory(norm_cfg, act_cfg, use_depthwise)
        super().__init__(make, deepen_factor, widen_factor, out_indices, frozen_stages, norm_eval, weights, in_channels)

    def make_stem(self, in_channels: int, width: int) -> nn.Module:
        half = width // 2
        return nn.Sequential(
            self.make.plain(in_channels, half, 3, stride=2),
            self.make.plain(half, half, 3),
            self.make.plain(half, width, 3),
        )

    def make_layer(self, width: int, num_blocks: int, add_identity: bool) -> CSPLayer:
        blocks = [lambda channels: CSPNeXtBlock(channels, self.make, add_identity)] * num_blocks
        return CSPLayer(width, width, blocks, self.make, self._attention)
