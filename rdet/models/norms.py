"""Normalisation layers, which a ``norm_cfg`` of a config describes as mmcv takes it."""

import inspect
from typing import Any

import torch
import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from mmengine.registry import MODELS as ROOT_MODELS
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from rdet.errors import ConfigError, UnknownNameError
from rdet.messages import nearest, shown
from rdet.models.autocast import no_autocast
from rdet.part_keys import keys_of
from rdet.schema import check_value, is_default


class GroupNorm(nn.GroupNorm):
    """Group normalisation that leaves maps of half precision in it, in mixed precision on a GPU too.

    There, autocast would have it in float32, and what follows, up to the next convolution; on a CPU, it leaves them.
    Mean and variance are computed in float32 in any case.
    """

    def forward(self, input: Tensor) -> Tensor:
        if input.device.type == "cpu" or input.dtype not in (torch.bfloat16, torch.float16):
            return super().forward(input)
        weight, bias = (self.weight.to(input.dtype), self.bias.to(input.dtype)) if self.affine else (None, None)
        with no_autocast(input):
            return F.group_norm(input, self.num_groups, weight, bias, self.eps)


def keep_half_precision(network: nn.Module) -> None:
    """Make each group normalisation of a network, which mmcv builds, a :class:`GroupNorm`."""
    for module in network.modules():
        if type(module) is nn.GroupNorm:
            module.__class__ = GroupNorm


def norms_in_eval(network: nn.Module) -> None:
    """Put the batch normalisations of a network into eval mode: they use the statistics that they have."""
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.eval()


def build_norm(norm_cfg: dict, channels: int) -> nn.Module:
    """Build the layer of a ``norm_cfg``, for maps of ``channels`` channels."""
    return build_norm_layer(dict(norm_cfg), channels)[1]


def _registered(name: str) -> Any:
    """Return the layer of a name, or None; mmengine takes what is before a dot for a package, and imports it."""
    return ROOT_MODELS.get(name) if all(part.isidentifier() for part in name.split(".")) else None


def check_norm_cfg(norm_cfg: dict, where: str) -> None:
    """Check that a ``norm_cfg`` names a layer and keys that the layer has.

    Args:
        norm_cfg: ``type``, the layer's own keys, and ``requires_grad``.
        where: Its path in the config, for messages.

    Raises:
        UnknownNameError: There is no such layer, or the layer has no such key.
        ValueError: It is no dict with a type, or a key that the layer needs is missing.
    """
    if not isinstance(norm_cfg, dict) or "type" not in norm_cfg:
        raise ConfigError(
            f"{where} is {shown(norm_cfg)}; it must be None or a dict with a type, such as dict(type='BN')"
        )
    name = norm_cfg["type"]
    layer = name if not isinstance(name, str) else _registered(name)
    if not callable(layer):
        known = {name for name, cls in ROOT_MODELS.module_dict.items() if "Norm" in getattr(cls, "__name__", "")}
        raise UnknownNameError(f"{where}: no normalisation is called {shown(name)}. {nearest(name, known)}")
    parameters = list(inspect.signature(layer).parameters.values())
    # mmcv passes the channels: to group normalisation by name, to all others as the first argument.
    channels = "num_channels" if layer is nn.GroupNorm else parameters[0].name if parameters else None
    keys = [
        p
        for p in parameters
        if p.name not in (channels, "device", "dtype") and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    valid = {"requires_grad", *(p.name for p in keys)}
    for key in set(norm_cfg) - {"type"} - valid:
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            raise UnknownNameError(f"{where}: {name} has no key {shown(key)}. {nearest(key, valid)}")
    said = keys_of(layer) or {}
    if "requires_grad" in norm_cfg:
        check_value(norm_cfg["requires_grad"], bool, f"{where}.requires_grad")
    for p in keys:
        if p.default is p.empty and p.name not in norm_cfg:
            raise ConfigError(f"{where}: {name} needs {p.name}")
        if p.name in norm_cfg and not is_default(norm_cfg[p.name], p):
            check_value(norm_cfg[p.name], said[p.name].annotation, f"{where}.{p.name}")
