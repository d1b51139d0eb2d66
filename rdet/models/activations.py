"""Activation layers, which an ``act_cfg`` of a config describes as mmcv takes it."""

from typing import Any

from mmcv.cnn import build_activation_layer
from torch import nn

from rdet.errors import ConfigError


def build_activation(act_cfg: dict[str, Any], where: str) -> nn.Module:
    """Build the layer of an ``act_cfg``, such as ``dict(type='LeakyReLU', negative_slope=0.1)``.

    Args:
        act_cfg: ``type``, a name of mmcv's (mostly torch's), and the layer's own keys.
        where: Its path in the config, for messages.

    Raises:
        ConfigError: There is no such layer, or it has no such key.
    """
    try:
        layer: nn.Module = build_activation_layer(dict(act_cfg))
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{where} is {act_cfg!r}, which is no activation layer: {error}") from error
    return layer


def replace_relu(network: nn.Module, act_cfg: dict[str, Any], where: str) -> None:
    """Put another activation in the place of each ReLU of a network.

    Args:
        network: The network, changed in place.
        act_cfg, where: See :func:`build_activation`.

    Raises:
        ConfigError: There is no such activation, or no ReLU.
    """
    found = 0
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.ReLU:
                setattr(parent, name, build_activation(act_cfg, where))
                found += 1
    if not found:
        raise ConfigError(
            f"{where} is {act_cfg!r}, but the network has no ReLU whose place it could take; leave it out"
        )
