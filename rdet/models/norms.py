"""Normalisation layers, which a ``norm_cfg`` of a config describes as mmcv takes it."""

import inspect

from mmcv.cnn import build_norm_layer
from mmengine.registry import MODELS as ROOT_MODELS
from torch import nn

from rdet.messages import nearest
from rdet.registry import UnknownNameError

# Parameters of layers that mmcv passes itself.
_CHANNELS = {"num_features", "num_channels", "normalized_shape"}


def build_norm(norm_cfg: dict, channels: int) -> nn.Module:
    """The layer of a ``norm_cfg``, for maps of ``channels`` channels."""
    return build_norm_layer(dict(norm_cfg), channels)[1]


def check_norm_cfg(norm_cfg: dict, where: str) -> None:
    """Raises UnknownNameError or ValueError unless a ``norm_cfg`` names a layer and keys that the layer has.

    Args:
        norm_cfg: ``type``, the layer's own keys, and ``requires_grad``.
        where: Its path in the config, for messages.
    """
    if not isinstance(norm_cfg, dict) or "type" not in norm_cfg:
        raise ValueError(f"{where} is {norm_cfg!r}; it must be None or a dict with a type, such as dict(type='BN')")
    layers = {
        name: layer
        for name, layer in ROOT_MODELS.module_dict.items()
        if inspect.isclass(layer) and "Norm" in layer.__name__ and issubclass(layer, nn.Module)
    }
    name = norm_cfg["type"]
    layer = layers.get(name) if isinstance(name, str) else name
    if layer is None:
        raise UnknownNameError(f"{where}: no normalisation is called {name!r}. {nearest(name, layers)}")
    parameters = inspect.signature(layer).parameters
    valid = {"requires_grad", *parameters} - _CHANNELS
    for key in set(norm_cfg) - {"type"} - valid:
        raise UnknownNameError(f"{where}: {name} has no key {key!r}. {nearest(key, valid)}")
    for key, parameter in parameters.items():
        if parameter.default is parameter.empty and key not in {*norm_cfg, *_CHANNELS}:
            raise ValueError(f"{where}: {name} needs {key}")
