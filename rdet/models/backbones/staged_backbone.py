"""What backbones of a stem and four stages share."""

from torch import Tensor, nn

from rdet.models.backbones.base import Backbone
from rdet.models.backbones.folding import fold_norms
from rdet.schema import Natural


class StagedBackbone(Backbone):
    """Base of backbones of a ``stem`` and the layers ``stage1`` to ``stage4``, each of which is a sequence.

    A subclass makes the layers up to the last stage that is asked for, and then calls :meth:`set_maps` and
    :meth:`freeze`.

    Args:
        out_indices: Stages whose maps are returned, 0 to 3.
        frozen_stages, norm_eval, weights: See :class:`Backbone`.

    Raises:
        ValueError: ``out_indices`` names no stage, or one twice.
    """

    stem: nn.Module

    def __init__(self, out_indices: tuple[Natural, ...], frozen_stages: Natural, norm_eval: bool, weights: str | None):
        super().__init__(frozen_stages, norm_eval, weights)
        if not out_indices or not set(out_indices) <= set(range(4)) or len(set(out_indices)) < len(out_indices):
            raise ValueError(f"out_indices is {tuple(out_indices)}; name some of the stages 0 to 3, each once")
        self.out_indices = tuple(sorted(out_indices))

    def set_maps(self, widths: list[int]) -> None:
        """Say the channels of each stage's map, of which those of ``out_indices`` are returned."""
        self.out_channels = [widths[stage] for stage in self.out_indices]
        self.strides = [4 * 2**stage for stage in self.out_indices]

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
