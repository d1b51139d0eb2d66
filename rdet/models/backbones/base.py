"""What all backbones share: frozen stages and the mode of their normalisation layers."""

import logging

from mmengine.logging import print_log
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


class Backbone(nn.Module):
    """Base of backbones.

    A subclass builds its layers, sets ``out_channels`` and ``strides`` (one number for each map
    that ``forward`` returns), implements :meth:`stages`, and calls :meth:`freeze` at the end of
    its constructor.

    Args:
        frozen_stages: Number of stages whose weights never change, the stem first; 0 freezes
            nothing, 1 the stem and the first stage, as in MMDetection and Detectron.
        norm_eval: Keep batch normalisation in eval mode in training: it then uses the statistics
            it was pretrained with, which batches of a few images per device cannot replace.
        weights: Where :meth:`init_weights` finds pretrained weights; see
            :func:`rdet.models.backbones.weights.load_weights`. None: random initialisation.
    """

    out_channels: list[int]
    strides: list[int]

    def __init__(self, frozen_stages: int, norm_eval: bool, weights: str | None):
        super().__init__()
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        self.weights = weights

    def stages(self) -> list[list[nn.Module]]:
        """The layers of the stem, then those of each stage."""
        raise NotImplementedError

    def freeze(self) -> None:
        """Takes the gradient from the first ``frozen_stages`` stages and their stem, and sets all layers' modes."""
        stages = self.stages()
        if not 0 <= self.frozen_stages < len(stages):
            raise ValueError(f"frozen_stages is {self.frozen_stages}, but there are stages 0 to {len(stages) - 1}")
        for layer in self._frozen_layers():
            layer.requires_grad_(False)
        self.train()

    def train(self, mode: bool = True) -> "Backbone":
        super().train(mode)
        if mode:
            for layer in self._frozen_layers():
                layer.eval()
            if self.norm_eval:
                for module in self.modules():
                    if isinstance(module, _BatchNorm):
                        module.eval()
        return self

    def init_weights(self) -> None:
        """Loads the pretrained weights; without any, warns of what then stays random."""
        if self.weights:
            from rdet.models.backbones.weights import load_weights

            load_weights(self, self.weights)
        elif self.frozen_stages or self.norm_eval:
            print_log(
                f"the backbone starts from random weights, but frozen_stages={self.frozen_stages} and "
                f"norm_eval={self.norm_eval} keep part of it as it starts; unless load_from brings weights, set "
                "model.backbone.frozen_stages=0 and model.backbone.norm_eval=False",
                "current",
                logging.WARNING,
            )

    def _frozen_layers(self) -> list[nn.Module]:
        if not self.frozen_stages:
            return []
        return [layer for stage in self.stages()[: self.frozen_stages + 1] for layer in stage]
