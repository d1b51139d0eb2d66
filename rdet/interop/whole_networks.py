"""Whether converted weights are those of a whole network, and normalisation where an export has none."""

from collections.abc import Mapping

import torch
from mmengine.config import Config
from torch import Tensor

from rdet.errors import CheckpointError
from rdet.messages import few
from rdet.registry import MODELS


def check_numbers(state: Mapping[str, Tensor]) -> None:
    """Raise CheckpointError unless all weights are plain tensors of finite numbers."""
    for name, value in state.items():
        if name.endswith("num_batches_tracked"):
            continue
        if not value.is_floating_point() or value.layout != torch.strided or value.is_meta:
            raise CheckpointError(f"its weight {name} is no plain tensor of numbers")
        if not value.isfinite().all():
            raise CheckpointError(f"its weight {name} holds numbers that are not finite")


def check_complete(weights: Mapping[str, Tensor], cfg: Config, num_classes: int, unknown: str) -> None:
    """Raise CheckpointError unless the weights are exactly those of the network that the config describes.

    Args:
        weights: Under rdet's names.
        cfg: The config.
        num_classes: K.
        unknown: What it is then, for the message.
    """
    wanted = MODELS.build(cfg.model, default_args={"num_classes": num_classes}, where="model").state_dict()
    wrong = [name for name, value in weights.items() if name not in wanted or value.shape != wanted[name].shape]
    missing = [name for name in wanted if name not in weights and not name.endswith("num_batches_tracked")]
    for what, names in (("missing", missing), ("unknown or of another shape", wrong)):
        if names:
            raise CheckpointError(f"of its weights {len(names)} are {what} ({few(names, 3)}); {unknown}")


def identity_norm(norm: str, bias: Tensor, eps: float) -> dict[str, Tensor]:
    """Give the weights of a batch normalisation that adds ``bias`` (C,), and does nothing else.

    Args:
        norm: Its name.
        bias: Of the convolution in which another went.
        eps: Of the layer.
    """
    return {
        f"{norm}.weight": torch.ones_like(bias),
        f"{norm}.bias": bias,
        f"{norm}.running_mean": torch.zeros_like(bias),
        f"{norm}.running_var": torch.full_like(bias, 1 - eps),
        f"{norm}.num_batches_tracked": torch.tensor(0),
    }
