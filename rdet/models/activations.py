"""Activation layers, which an ``act_cfg`` of a config describes as mmcv takes it."""

from typing import Any

import torch
from mmcv.cnn import build_activation_layer
from mmengine.registry import MODELS as ROOT_MODELS
from torch import nn

from rdet.errors import ConfigError, UnknownNameError
from rdet.messages import nearest, shown


def build_activation(act_cfg: dict[str, Any], where: str) -> nn.Module:
    """Build the layer of an ``act_cfg``, such as ``dict(type='LeakyReLU', negative_slope=0.1)``.

    Args:
        act_cfg: ``type``, a name of mmcv's (mostly torch's), and the layer's own keys.
        where: Its path in the config, for messages.

    Raises:
        UnknownNameError: There is no such layer.
        ConfigError: It is no dict with a type, or the layer does not take its keys and values.
    """
    if not isinstance(act_cfg, dict) or not act_cfg.get("type"):
        raise ConfigError(f"{where} is {shown(act_cfg)}; it must be a dict with a type, such as dict(type='ReLU')")
    name = act_cfg["type"]
    if isinstance(name, str) and ROOT_MODELS.get(name) is None:
        known = [name for name, layer in ROOT_MODELS.module_dict.items() if "activation" in layer.__module__]
        raise UnknownNameError(f"{where}: no activation is called {shown(name)}. {nearest(name, known)}")
    try:
        layer: nn.Module = build_activation_layer(dict(act_cfg))
        layer(torch.zeros(1, 1, 1, 1, device="cpu"))  # values are looked at only here
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(f"{where} is {shown(act_cfg)}, which is no activation layer: {error}") from error
    return layer


def replace_relu(network: nn.Module, act_cfg: dict[str, Any], where: str) -> None:
    """Put another activation in the place of each ReLU, or ReLU6, of a network.

    Args:
        network: The network, changed in place.
        act_cfg, where: See :func:`build_activation`.

    Raises:
        ConfigError: There is no such activation, or no ReLU.
    """
    found = 0
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if type(child) in (nn.ReLU, nn.ReLU6):
                setattr(parent, name, build_activation(act_cfg, where))
                found += 1
    if not found:
        raise ConfigError(
            f"{where} is {shown(act_cfg)}, but the network has no ReLU whose place it could take; leave it out"
        )
