"""The backbone of YOLOX."""

from torch import Tensor, nn

from rdet.models.backbones.base import Backbone
from rdet.models.backbones.folding import fold_norms
from rdet.models.csp import (
    BATCH_NORM,
    SILU,
    Cfg,
    ConvFactory,
    CSPLayer,
    DarknetBlock,
    Focus,
    SPPBottleneck,
    init_uniform,
)
from rdet.registry import MODELS
from rdet.schema import Count, Natural, Positive

_WIDTHS = (64, 128, 256, 512, 1024)  # of the stem and the four stages
_BLOCKS = (3, 9, 9, 3)


@MODELS.register_module()
class CSPDarknet(Backbone):
    """CSPDarknet with Focus as its stem, as in YOLOX (Ge et al., arXiv:2107.08430, section 2.1) and YOLOv5 5.0.

    Each stage is a stride-2 convolution and a :class:`~rdet.models.csp.CSPLayer`; in the last, spatial pyramid pooling
    stands between them. Names of weights are MMDetection's.

    Shapes: (N, in_channels, H, W) -> for each of ``out_indices`` (N, C, H / s, W / s), s in 4, 8, 16, 32.

    Args:
        deepen_factor: Factor of the numbers of blocks, 3, 9, 9, 3: of nano, tiny and s 1 / 3, m 2 / 3, l 1, x 4 / 3.
        widen_factor: Factor of the widths, 64 of the stem to 1024: of nano 0.25, tiny 0.375, s 0.5, m 0.75, l 1,
            x 1.25.
        use_depthwise: Whether 3x3 convolutions are depthwise-separable, as of nano.
        out_indices: Stages whose maps are returned, 0 to 3.
        norm_cfg, act_cfg: Of each convolution.
        frozen_stages, norm_eval, weights: See :class:`Backbone`.
        in_channels: Of the images.

    Raises:
        ValueError: ``out_indices`` names no stage, or one twice.
    """

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
        super().__init__(frozen_stages, norm_eval, weights)
        if not out_indices or not set(out_indices) <= set(range(4)) or len(set(out_indices)) < len(out_indices):
            raise ValueError(f"out_indices is {tuple(out_indices)}; name some of the stages 0 to 3, each once")
        self.out_indices = tuple(sorted(out_indices))
        make = ConvFactory(norm_cfg, act_cfg, use_depthwise)
        widths = [int(width * widen_factor) for width in _WIDTHS]
        self.stem = Focus(in_channels, widths[0], make)
        for stage in range(self.out_indices[-1] + 1):
            is_last = stage == len(_BLOCKS) - 1
            below, width = widths[stage : stage + 2]
            count = max(round(_BLOCKS[stage] * deepen_factor), 1)
            blocks = [lambda channels, adds=not is_last: DarknetBlock(channels, make, adds)] * count
            layers: list[nn.Module] = [make.spatial(below, width, stride=2)]
            layers += [SPPBottleneck(width, width, make)] if is_last else []
            layers.append(CSPLayer(width, width, blocks, make))
            self.add_module(f"stage{stage + 1}", nn.Sequential(*layers))
        self.out_channels = [widths[stage + 1] for stage in self.out_indices]
        self.strides = [4 * 2**stage for stage in self.out_indices]
        init_uniform(self)
        self.freeze()

    def stages(self) -> list[list[nn.Module]]:
        stages = range(1, self.out_indices[-1] + 2)
        return [[self.stem], *([self.get_submodule(f"stage{stage}")] for stage in stages)]

    def fold_norms(self) -> None:
        """Make batch normalisation part of the convolutions for good, for inference."""
        fold_norms(self)

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for stage, layers in enumerate(self.stages()):
            for layer in layers:
                x = layer(x)
            if stage - 1 in self.out_indices:
                maps.append(x)
        return maps
