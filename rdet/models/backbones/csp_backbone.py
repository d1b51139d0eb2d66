"""What backbones of cross stage partial layers share."""

from abc import abstractmethod
from typing import ClassVar

from torch import nn

from rdet.models.backbones.staged_backbone import StagedBackbone
from rdet.models.csp import ConvFactory, CSPLayer, SPPBottleneck, init_uniform
from rdet.schema import Count, Natural, Positive

_WIDTHS = (64, 128, 256, 512, 1024)  # of the stem and the four stages


class CSPBackbone(StagedBackbone):
    """Base of backbones of a stem and four stages.

    Each stage is a stride-2 convolution and a :class:`~rdet.models.csp.CSPLayer`; in the last, whose blocks add no
    identity, spatial pyramid pooling stands between them. Names of weights are MMDetection's.

    Shapes: (N, in_channels, H, W) -> for each of ``out_indices`` (N, C, H / s, W / s), s in 4, 8, 16, 32.

    Args:
        make: Makes the convolutions.
        deepen_factor: Factor of the numbers of blocks, ``num_blocks``.
        widen_factor: Factor of the widths, 64 of the stem to 1024.
        out_indices, frozen_stages, norm_eval, weights: See :class:`StagedBackbone`.
        in_channels: Of the images.

    Attributes:
        num_blocks: Blocks of each stage.
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
        super().__init__(out_indices, frozen_stages, norm_eval, weights)
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
        self.set_maps(widths[1:])
        init_uniform(self)
        self.freeze()

    @abstractmethod
    def make_stem(self, in_channels: int, width: int) -> nn.Module:
        """Make what gives maps of ``width`` channels and stride 2."""

    @abstractmethod
    def make_layer(self, width: int, num_blocks: int, add_identity: bool) -> CSPLayer:
        """Make the layer of a stage, whose blocks may add their input."""
