"""The backbone of YOLOv2."""

from torch import nn

from rdet.models.backbones.staged_backbone import StagedBackbone
from rdet.models.csp import DARKNET_NORM, LEAKY, Cfg, ConvFactory, init_uniform
from rdet.registry import MODELS
from rdet.schema import Count, Natural

_WIDTHS = (64, 128, 256, 512, 1024)
_CONVS = (1, 3, 3, 5, 5)  # every second of them a 1x1 convolution to half the width


@MODELS.register_module()
class Darknet19(StagedBackbone):
    """Darknet-19 (YOLO9000, Redmon and Farhadi, CVPR 2017, table 6) without its last, the classifier's convolution.

    A maximum of 2 x 2 cells begins each stage; convolutions of 3 and 1 cells take turns.

    Shapes: (N, in_channels, H, W) -> for each of ``out_indices`` (N, C, H / s, W / s), C of 128, 256, 512 and 1024,
    s of 4, 8, 16 and 32, rounded up.

    Args:
        out_indices: Stages whose maps are returned, 0 to 3.
        norm_cfg, act_cfg: Of each convolution.
        frozen_stages, norm_eval, weights: See :class:`Backbone`.
        in_channels: Of the images.
    """

    def __init__(
        self,
        out_indices: tuple[Natural, ...] = (2, 3),
        norm_cfg: Cfg = DARKNET_NORM,
        act_cfg: Cfg = LEAKY,
        frozen_stages: Natural = 0,
        norm_eval: bool = False,
        weights: str | None = None,
        in_channels: Count = 3,
    ):
        super().__init__(out_indices, frozen_stages, norm_eval, weights)
        make = ConvFactory(norm_cfg, act_cfg)

        def stage(below: int, width: int, num_convs: int) -> list[nn.Module]:
            rest: list[nn.Module] = []
            for _ in range(num_convs // 2):
                rest += [make.plain(width, width // 2), make.spatial(width // 2, width)]
            return [nn.MaxPool2d(2, ceil_mode=True), make.spatial(below, width), *rest]

        first = make.spatial(in_channels, _WIDTHS[0] // 2)
        self.stem = nn.Sequential(first, *stage(_WIDTHS[0] // 2, _WIDTHS[0], _CONVS[0]))
        for index in range(1, self.out_indices[-1] + 2):
            self.add_module(f"stage{index}", nn.Sequential(*stage(_WIDTHS[index - 1], _WIDTHS[index], _CONVS[index])))
        self.set_maps(list(_WIDTHS[1:]))
        init_uniform(self)
        self.freeze()
