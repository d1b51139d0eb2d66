"""The backbone of YOLOX."""

from torch import nn

from rdet.models.backbones.csp_backbone import CSPBackbone
from rdet.models.csp import BATCH_NORM, SILU, Cfg, ConvFactory, CSPLayer, DarknetBlock, Focus
from rdet.registry import MODELS
from rdet.schema import Count, Natural, Positive


@MODELS.register_module()
class CSPDarknet(CSPBackbone):
    """CSPDarknet with Focus as its stem, as in YOLOX (Ge et al., arXiv:2107.08430, section 2.1) and YOLOv5 5.0.

    For stages and shapes see :class:`CSPBackbone`.

    Args:
        deepen_factor: Factor of the numbers of blocks, 3, 9, 9, 3: of nano, tiny and s 1 / 3, m 2 / 3, l 1, x 4 / 3.
        widen_factor: Factor of the widths, 64 of the stem to 1024: of nano 0.25, tiny 0.375, s 0.5, m 0.75, l 1,
            x 1.25.
        use_depthwise: Whether 3x3 convolutions are depthwise-separable, as of nano.
        out_indices: Stages whose maps are returned, 0 to 3.
        norm_cfg, act_cfg: Of each convolution.
        frozen_stages, norm_eval, weights: See :class:`Backbone`.
        in_channels: Of the images.
    """

    num_blocks = (3, 9, 9, 3)

    def __init__(
        self,
        deepen_factor: Positive = 1.0,
        widen_factor: Positive = 1.0,
        use_depthwise: bool = False,
        out_indices: tuple[Natural, ...] = (1, 2, 3),
        norm_cfg: Cfg = BATCH_NORM,
        act_cfg: Cfg = SILU,
        frozen_stages: Natural = 0,
        norm_eval: bool = False,
        weights: str | None = None,
        in_channels: Count = 3,
    ):
        make = ConvFactory(norm_cfg, act_cfg, use_depthwise)
        super().__init__(make, deepen_factor, widen_factor, out_indices, frozen_stages, norm_eval, weights, in_channels)

    def make_stem(self, in_channels: int, width: int) -> nn.Module:
        return Focus(in_channels, width, self.make)

    def make_layer(self, width: int, num_blocks: int, add_identity: bool) -> CSPLayer:
        blocks = [lambda channels: DarknetBlock(channels, self.make, add_identity)] * num_blocks
        return CSPLayer(width, width, blocks, self.make)
