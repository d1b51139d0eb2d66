"""Any network of timm as a feature extractor."""

import inspect
from contextlib import nullcontext
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, nn

from rdet.errors import MissingModuleError
from rdet.messages import nearest
from rdet.models.autocast import no_autocast
from rdet.models.backbones.base import Backbone
from rdet.models.backbones.dry_run import dry_run, is_channels_last, stage_of, stride_of, unused_parameters
from rdet.models.backbones.weights import canonical
from rdet.registry import MODELS
from rdet.schema import Count, Fraction, Natural, Positive

# What lets a transformer take images of any size, under the names that timm has for it.
_ANY_SIZE = {"strict_img_size": False, "dynamic_img_size": True, "dynamic_img_pad": True}


@MODELS.register_module()
class TimmBackbone(Backbone):
    """A network of timm (``pip install timm``) without its classifier.

    Shapes: (N, 3, H, W) -> for each of ``out_indices`` (N, C, H / s, W / s). C and s are measured.
    Where H or W is no multiple of s, the map's size is rounded up or down, or the network (such as
    Swin, HRNet, DLA) refuses: ``pad_size_divisor=32`` of the data preprocessor fits all.

    Args:
        model_name: Name in timm, for example ``tf_efficientnet_lite0``.
        out_indices: Which of timm's feature maps are returned, counted from the first that timm
            offers (stride 1, 2 or 4). None: those of stride 8, 16 and 32, C3 to C5.
        model_args: Further arguments that timm makes the network with, such as ``dict(feature_location='')`` for
            HRNet's own maps, without the layers of its classifier.
        norm_eps: Epsilon of all layer normalisations; None leaves it to timm.
        drop_path_rate: Rate of stochastic depth (Huang et al., ECCV 2016) in training; None
            leaves it to timm.
        autocast: Whether to follow the run's mixed precision. On CPUs, the backward pass of
            depthwise convolutions is two to six times slower in bfloat16 than in float32.
        frozen_stages, norm_eval, weights: See :class:`Backbone`.
        in_channels: Of the images; the first convolution is adapted, that of pretrained weights too
            (:func:`~rdet.models.backbones.base.adapted`).

    Raises:
        ValueError: timm has no such network, the network has no such maps, or it takes images of
            one size alone.
    """

    def __init__(
        self,
        model_name: str,
        out_indices: tuple[Natural, ...] | None = None,
        drop_path_rate: Fraction | None = None,
        autocast: bool = True,
        frozen_stages: Natural = 0,
        norm_eval: bool = True,
        weights: str | None = None,
        in_channels: Count = 3,
        model_args: dict[str, Any] | None = None,
        norm_eps: Positive | None = None,
    ):
        super().__init__(frozen_stages, norm_eval, weights)
        try:
            import timm
        except ImportError as error:
            raise MissingModuleError(
                f"the backbone {model_name!r} comes from timm; install it: pip install timm"
            ) from error
        if not timm.is_model(model_name):
            hint = nearest(model_name, timm.list_models(), see="timm.list_models()")
            raise ValueError(f"timm has no model {model_name!r}. {hint}")
        with torch.device("meta"):  # takes neither time nor random numbers
            whole = timm.create_model(model_name)
            features = _features(timm, model_name, model_args or {})
        accepted = inspect.signature(type(whole)).parameters
        options: dict[str, Any] = {name: value for name, value in _ANY_SIZE.items() if name in accepted}
        options |= model_args or {}
        if drop_path_rate is not None:
            options["drop_path_rate"] = drop_path_rate
        if out_indices is None:
            out_indices = _c3_to_c5(dict(zip(features.reduction(), features.out_indices, strict=True)), model_name)
        try:
            self.net = timm.create_model(model_name, features_only=True, out_indices=tuple(out_indices), **options)
        except (AssertionError, IndexError, TypeError, ValueError) as error:
            raise ValueError(
                f"timm cannot make {model_name} with out_indices={tuple(out_indices)} and {options} ({_line(error)}); "
                f"its maps are {features.out_indices}, of strides {features.reduction()}"
            ) from error
        for norm in self.net.modules():
            if isinstance(norm, nn.LayerNorm) and norm_eps is not None:
                norm.eps = norm_eps
        try:
            maps, self._stages = dry_run(self.net)
        except Exception as error:  # whatever a network says of a size it does not know
            raise ValueError(
                f"timm's {model_name} takes images of one size only ({_line(error)}); choose a network that takes any"
            ) from error
        self.strides = [stride for stride in map(stride_of, maps) if stride is not None]
        if len(self.strides) < len(maps):
            raise ValueError(
                f"timm's {model_name} cuts off the borders of its maps: their sizes are no fractions of the image's, "
                "so priors would not lie where their strides say; choose another network"
            )
        self._channels_last = [is_channels_last(x) for x in maps]
        self.out_channels = [x.shape[3 if last else 1] for x, last in zip(maps, self._channels_last, strict=True)]
        ours = {canonical(name) for name in self.net.state_dict()}
        self.left_out = frozenset(name for name in whole.state_dict() if canonical(name) not in ours)
        self.autocast = autocast
        found = {index for index, stage in enumerate(self._stages) if stage}
        if frozen_stages and not {stage_of(stride) for stride in self.strides} <= found:
            raise ValueError(f"frozen_stages is {frozen_stages}, but where {model_name}'s stages end is unknown; use 0")
        for name in unused_parameters(self.net):  # DistributedDataParallel would wait for their gradients
            self.net.get_parameter(name).requires_grad_(False)
        self.take_channels(in_channels)
        self.freeze()

    def stages(self) -> list[list[nn.Module]]:
        return [[attrgetter(name)(self.net) for name in stage] for stage in self._stages]

    def forward(self, x: Tensor) -> list[Tensor]:
        with nullcontext() if self.autocast else no_autocast(x):
            maps = self.net(x)
        # (N, H, W, C) -> (N, C, H, W)
        return [x.permute(0, 3, 1, 2) if last else x for x, last in zip(maps, self._channels_last, strict=True)]


def _features(timm: Any, model_name: str, model_args: dict[str, Any]) -> Any:
    """Return what timm says of the maps of a network, or raise ValueError if it takes no such ``model_args``."""
    try:
        return timm.create_model(model_name, features_only=True, **model_args).feature_info
    except TypeError as error:
        if not model_args:
            raise
        raise ValueError(
            f"model_args is {model_args}, which timm's {model_name} does not take ({_line(error)})"
        ) from error


def _c3_to_c5(index_of: dict[int, int], model_name: str) -> tuple[int, ...]:
    if not {8, 16, 32} <= set(index_of):
        raise ValueError(f"timm's {model_name} has maps of strides {sorted(index_of)}; say which in out_indices")
    return tuple(index_of[stride] for stride in (8, 16, 32))


def _line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
