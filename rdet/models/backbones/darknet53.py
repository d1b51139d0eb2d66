"""The backbone of YOLOv3."""

from torch import nn

from rdet.models.backbones.staged_backbone import StagedBackbone
from rdet.models.csp import DARKNET_NORM, LEAKY, Cfg, ConvFactory, DarknetBlock, init_uniform
from rdet.registry import MODELS
from rdet.schema import Count, Natural

_WIDTHS = (64, 128, 256, 512, 1024)
_BLOCKS = (1, 2, 8, 8, 4)


@MODELS.register_module()
class Darknet53(StagedBackbone):
    """Darknet-53 (YOLOv3, Redmon and Farhadi, 2018, section 2.4): each stage is a stride-2 convolution and residuals.

    Shapes: (N, in_channels, H, W) -> for each of ``out_indices`` (N, C, H / s, W / s), C of 128, 256, 512 and 1024,
    s of 4, 8, 16 and 32, rounded up.

    Args:
        out_indices: Stages whose maps are returned, 0 to 3.
        norm_cfg, act_cfg: Of each convolution.
        frozen_stages, norm_eval, weights: See :class:`Backbone`. timm's ``darknet53`` is the same network, with another
            slope: its weights go with ``act_cfg=dict(type='LeakyReLU', negative_slope=0.01)``.
        in_channels: Of the images.
    """

    def __init__(
        self,
        out_indices: tuple[Natural, ...] = (1, 2, 3),
        norm_cfg: Cfg = DARKNET_NORM,
        act_cfg: Cfg = LEAKY,
        frozen_stages: Natural = 0,
        norm_eval: bool = True,
        weights: str | None = None,
        in_channels: Count = 3,
    ):
        super().__init__(out_indices, frozen_stages, norm_eval, weights)
        make = ConvFactory(norm_cfg, act_cfg)

        def stage(below: int, width: int, num_blocks: int) -> list[nn.Module]:
            blocks = (DarknetBlock(width, make, middle=width // 2) for _ in range(num_blocks))
            return [make.spatial(below, width, stride=2), *blocks]

        first = make.spatial(in_channels, _WIDTHS[0] // 2)
        self.stem = nn.Sequential(first, *stage(_WIDTHS[0] // 2, _WIDTHS[0], _BLOCKS[0]))
        for index in range(1, self.out_indices[-1] + 2):
            self.add_module(f"stage{index}", nn.Sequential(*stage(_WIDTHS[index - 1], _WIDTHS[index], _BLOCKS[index])))
        self.set_maps(list(_WIDTHS[1:]))
        init_uniform(self)
        self.freeze()
