"""What all backbones share: frozen stages and the mode of their normalisation layers."""

import logging
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from mmengine.logging import print_log
from torch import Tensor, nn

from rdet.models.backbones.channels import adapted
from rdet.models.backbones.folding import forget_folded
from rdet.models.backbones.weights import load_weights
from rdet.models.norms import norms_in_eval
from rdet.schema import Natural


class Backbone(nn.Module):
    """Base of backbones.

    A subclass builds its layers, sets ``out_channels`` and ``strides`` (one number for each map
    that ``forward`` returns), implements :meth:`stages`, and calls :meth:`freeze` at the end of
    its constructor.

    Stages mean the same for every network: the stem is what runs at a stride of up to 2, stage 1
    what runs at 4, stage 2 at 8, stage 3 at 16, stage 4 at 32. A stage begins with the layer that
    reduces the resolution and ends before the next that does.

    Args:
        frozen_stages: Number of stages whose weights never change; 0 freezes nothing, 1 the stem
            and the first stage (C2 and all before it), as in MMDetection and Detectron.
        norm_eval: Keep batch normalisation in eval mode in training: it then uses the statistics
            it was pretrained with, which batches of a few images per device cannot replace.
        weights: Where :meth:`init_weights` finds pretrained weights; see
            :func:`rdet.models.backbones.weights.load_weights`. None: random initialisation.
    """

    out_channels: list[int]
    strides: list[int]
    # Names of weights that the whole network has and this extractor has not, such as later stages.
    left_out: frozenset[str] = frozenset()
    # Names of weights that pretrained ones need not have; they then stay as they start.
    added: frozenset[str] = frozenset()
    # How the names of others' weights begin -> how these do.
    other_names: Mapping[str, str] = MappingProxyType({})

    def __init__(self, frozen_stages: Natural, norm_eval: bool, weights: str | None):
        super().__init__()
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        self.weights = weights

    def stages(self) -> Sequence[Sequence[nn.Module | nn.Parameter]]:
        """List the layers of the stem, then those of each stage, with the parameters that belong to no layer."""
        raise NotImplementedError(f"{type(self).__name__} does not define stages()")

    def freeze(self) -> None:
        """Freeze the stem and the first ``frozen_stages`` stages, and set the modes of all layers.

        Raises:
            ValueError: There are fewer stages, or those to freeze are empty.
        """
        stages = self.stages()
        if not 0 <= self.frozen_stages < len(stages):
            raise ValueError(
                f"frozen_stages is {self.frozen_stages}, but there are stages 0 to {len(stages) - 1}; lower it"
            )
        frozen = self._frozen_layers()
        if self.frozen_stages and not frozen:
            first = next(index for index, stage in enumerate(stages) if stage)
            raise ValueError(
                f"frozen_stages is {self.frozen_stages}, but this network has nothing before stage {first}; use 0"
            )
        for layer in frozen:
            layer.requires_grad_(False)
        self.train()

    def take_channels(self, channels: int) -> None:
        """Make the first convolution one of ``channels`` channels; see :func:`~rdet.models.backbones.channels.adapted`.

        Raises:
            ValueError: There is no convolution of three channels.
        """
        if channels == 3:
            return
        first = next((m for m in self.modules() if isinstance(m, nn.Conv2d) and m.in_channels == 3), None)
        if first is None or first.groups != 1:
            raise ValueError(f"in_channels is {channels}, but this network has no convolution of 3 channels; use 3")
        first.in_channels = channels
        first.weight = nn.Parameter(adapted(first.weight.detach(), channels))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Backbone":
        forget_folded(self)  # another device or precision
        return super()._apply(fn, recurse)

    def train(self, mode: bool = True) -> "Backbone":
        super().train(mode)
        forget_folded(self)  # an average of the weights may have taken their place
        if mode:
            for layer in self._frozen_layers():
                if isinstance(layer, nn.Module):
                    layer.eval()
            if self.norm_eval:
                norms_in_eval(self)
        return self

    def init_weights(self) -> None:
        """Load the pretrained weights; without any, warn of what stays random."""
        if self.weights:
            load_weights(self, self.weights)
        elif self.frozen_stages or self.norm_eval:
            print_log(
                f"the backbone starts from random weights, but frozen_stages={self.frozen_stages} and "
                f"norm_eval={self.norm_eval} keep part of it as it starts; unless load_from brings weights, set "
                "model.backbone.frozen_stages=0 and model.backbone.norm_eval=False",
                "current",
                logging.WARNING,
            )

    def _frozen_layers(self) -> list[nn.Module | nn.Parameter]:
        if not self.frozen_stages:
            return []
        return [layer for stage in self.stages()[: self.frozen_stages + 1] for layer in stage]
