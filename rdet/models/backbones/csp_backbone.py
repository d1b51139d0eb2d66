"""What backbones of cross stage partial layers share."""

from abc import abstractmethod
from typing import ClassVar

from torch import Tensor, nn

from rdet.models.backbones.base import Backbone
from rdet.models.backbones.folding import fold_norms
from rdet.models.csp import ConvFactory, CSPLayer, SPPBottleneck, init_uniform
from rdet.schema import Count, Natural, Positive

_WIDTHS = (64, 128, 256, 512, 1024)  # of the stem and the four stages


class CSPBackbone(Backbone):
    """Base of backbones of a stem and four stages.

    Each stage is a stride-2 convolution and a :class:`~rdet.models.csp.CSPLayer`; in the last, whose blocks add no
    identity, spatial pyramid pooling stands between them. Names of weights are MMDetection's.

    Shapes: (N, in_channels, H, W) -> for each of ``out_indices`` (N, C, H / s, W / s), s in 4, 8, 16, 32.

    Args:
        make: Makes the convolutions.
        deepen_factor: Factor of the numbers of blocks, ``num_blocks``.
        widen_factor: Factor of the widths, 64 of the stem to 1024.
        out_indices: Stages whose maps are returned, 0 to 3.
        frozen_stages, norm_eval, weights: See :class:`Backbone`.
        in_channels: Of the images.

    Attributes:
        num_blocks: Blocks of each stage.

    Raises:
        ValueError: ``out_indices`` names no stage, or one twice.
    """

    num_blocks: ClassVar[tuple[int, int, int, int]]

    def __init__(
        self,
        make: ConvFactory,
        deepen_factor: Positive,
        widen_factor: Positive,
        out_indices: tuple[Natural, ...],
        frozen_stages: Natural,
        norm_eval: bool,
        weights: str | None,
        in_channels: Count,
    ):
        super().__init__(frozen_stages, norm_eval, weights)
        if not out_indices or not set(out_indices) <= set(range(4)) or len(set(out_indices)) < len(out_indices):
            raise ValueError(f"out_indices is {tuple(out_indices)}; name some of the stages 0 to 3, each once")
        self.out_indices = tuple(sorted(out_indices))
        self.make = make
        widths = [int(width * widen_factor) for width in _WIDTHS]
        self.stem = self.make_stem(in_channels, widths[0])
        for stage in range(self.out_indices[-1] + 1):
            is_last = stage == len(self.num_blocks) - 1
            below, width = widths[stage : stage + 2]
            layers: list[nn.Module] = [make.spatial(below, width, stride=2)]
            layers += [SPPBottleneck(width, width, make)] if is_last else []
            count = max(round(self.num_blocks[stage] * deepen_factor), 1)
            layers.append(self.make_layer(width, count, add_identity=not is_last))
            self.add_module(f"stage{stage + 1}", nn.Sequential(*layers))
        self.out_channels = [widths[stage + 1] for stage in self.out_indices]
        self.strides = [4 * 2**stage for stage in self.out_indices]
        init_uniform(self)
        self.freeze()

    @abstractmethod
    def make_stem(self, in_channels: int, width: int) -> nn.Module:
        """Make what gives maps of ``width`` channels and stride 2."""

    @abstractmethod
    def make_layer(self, width: int, num_blocks: int, add_identity: bool) -> CSPLayer:
        """Make the layer of a stage, whose blocks may add their input."""

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
