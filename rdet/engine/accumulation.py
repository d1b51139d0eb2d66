"""Gradients of a step whose batches have not all come yet, for a run that is resumed between them."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.distributed as dist
from mmengine.model import is_model_wrapper
from torch import Tensor, nn

from rdet.errors import CheckpointError

GRADIENTS = "gradients"  # their key in a checkpoint


def gradients_of_an_open_step(runner) -> dict[str, Tensor]:
    """Return the gradients that batches before have added up: name -> mean over all processes, on the CPU.

    Empty where no step is open, as always without ``accumulative_counts``. All processes must call it.
    """
    wrapper = runner.optim_wrapper
    if wrapper.should_update():  # the last batch was the last of its step
        return {}
    gradients = {}
    for name, parameter in _model_of(runner).named_parameters():
        if parameter.requires_grad:
            gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.clone()
            if dist.is_available() and dist.is_initialized():  # the next step would average them
                dist.all_reduce(gradient)
                gradient /= dist.get_world_size()
            gradients[name] = gradient.cpu()
    return gradients


def check_gradients(runner, gradients: Any, source: str) -> None:
    """Raise CheckpointError unless a checkpoint has a finite gradient for each parameter that is trained."""
    for name, parameter in _model_of(runner).named_parameters():
        if parameter.requires_grad:
            gradient = gradients.get(name) if isinstance(gradients, Mapping) else None
            fits = isinstance(gradient, Tensor) and gradient.shape == parameter.shape and gradient.is_floating_point()
            if not fits or not gradient.isfinite().all():
                raise CheckpointError(
                    f"cannot resume {source}: its gradients of {name} are of another model or not finite; start with "
                    "load_from"
                )


def restore_gradients(runner, gradients: Mapping[str, Tensor]) -> None:
    """Give the parameters the gradients that a checkpoint kept, checked before."""
    for name, parameter in _model_of(runner).named_parameters():
        if parameter.requires_grad:
            parameter.grad = (
                gradients[name]
                .to(parameter.device, parameter.dtype)
                .contiguous(memory_format=torch.channels_last if parameter.ndim == 4 else torch.contiguous_format)
            )


def _model_of(runner) -> nn.Module:
    return runner.model.module if is_model_wrapper(runner.model) else runner.model
