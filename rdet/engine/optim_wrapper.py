"""Mixed precision on the CPU and the GPU, and which optimizers a step can use."""

import inspect
from collections.abc import Mapping
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.optim import OptimWrapper as MMOptimWrapper
from torch import Tensor, nn
from torch.optim import Optimizer, SparseAdam

from rdet.errors import ConfigError
from rdet.registry import OPTIM_WRAPPERS
from rdet.schema import Positive

# Options of torch's optimizers that change no result but its rounding.
WAYS_TO_COMPUTE = ("foreach", "fused", "capturable")


@OPTIM_WRAPPERS.register_module()
class OptimWrapper(MMOptimWrapper):
    """mmengine's wrapper, which leaves the norm of clipped gradients on their device until it is logged."""

    _clipped: dict[str, Tensor] | None = None

    def load_state_dict(self, state_dict: dict) -> None:
        """Load a state, which says nothing of how the optimizer of this device computes a step."""
        own = self.optimizer.param_groups
        groups = [
            {**group, **{key: mine[key] for key in WAYS_TO_COMPUTE if key in mine}}
            for group, mine in zip(state_dict["param_groups"], own, strict=True)
        ]
        super().load_state_dict({**state_dict, "param_groups": groups})

    def _clip_grad(self) -> None:
        groups = self.optimizer.param_groups
        parameters = [p for group in groups for p in group["params"] if p.requires_grad and p.grad is not None]
        if parameters:
            norm = self.clip_func(parameters, **self.clip_grad_kwargs)
            if norm is not None:  # as of values
                self._clipped = {self.grad_name: norm}

    def take_clipped(self) -> dict[str, Tensor]:
        """Return the norm that the last step clipped, under its name in the log; empty if it was told, or is none."""
        clipped, self._clipped = self._clipped, None
        return clipped or {}


@OPTIM_WRAPPERS.register_module()
class AmpOptimWrapper(OptimWrapper):
    """Runs the forward pass under autocast; mmengine's class of this name demands a GPU.

    Args:
        dtype: ``'bfloat16'``, on CPU and GPU and without loss scaling, or ``'float16'``, on GPU
            with loss scaling; ``'auto'``: float16 on a GPU, bfloat16 without one.
        loss_scale: First scale of float16's dynamic loss scaling.
        in_validation: Whether the evaluations of the training run under autocast too: faster, and what
            ``tools/test.py --amp`` measures but for rounding. By default they are float32's.
        **kwargs: Of mmengine's ``OptimWrapper``: ``optimizer``, ``accumulative_counts``,
            ``clip_grad``.
    """

    def __init__(self, dtype: str = "bfloat16", loss_scale: Positive = 2.0**16, in_validation: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.in_validation = in_validation
        self.device_type = torch.device(get_device()).type
        if dtype == "auto":
            dtype = "bfloat16" if self.device_type == "cpu" else "float16"
        if dtype not in ("bfloat16", "float16"):
            raise ConfigError(f"optim_wrapper.dtype is {dtype!r}; valid: 'bfloat16', 'float16', 'auto'")
        if dtype == "float16" and self.device_type == "cpu":
            raise ConfigError("optim_wrapper.dtype 'float16' needs a GPU; use 'bfloat16' on the CPU")
        self.dtype = getattr(torch, dtype)
        self.loss_scaler = torch.amp.GradScaler(
            self.device_type, init_scale=loss_scale, enabled=self.dtype is torch.float16
        )

    def backward(self, loss: Tensor, **kwargs) -> None:
        self.loss_scaler.scale(loss).backward(**kwargs)
        self._inner_count += 1

    def step(self, **kwargs) -> None:
        if self.clip_grad_kwargs:
            self.loss_scaler.unscale_(self.optimizer)
            self._clip_grad()
        self.loss_scaler.step(self.optimizer, **kwargs)
        self.loss_scaler.update()

    def state_dict(self) -> dict:
        return {**super().state_dict(), "loss_scaler": self.loss_scaler.state_dict()}

    def load_state_dict(self, state_dict: dict) -> None:
        state_dict = dict(state_dict)
        scaler_state = state_dict.pop("loss_scaler", None)
        if scaler_state:  # empty for bfloat16
            self.loss_scaler.load_state_dict(scaler_state)
        super().load_state_dict(state_dict)

    def validation_context(self) -> torch.autocast:
        """Return what an evaluation runs in."""
        return torch.autocast(self.device_type, dtype=self.dtype, enabled=self.in_validation)

    @contextmanager
    def optim_context(self, model: nn.Module):
        with super().optim_context(model), torch.autocast(self.device_type, dtype=self.dtype):
            yield


def fused_on_a_gpu(optimizer: Mapping[str, Any], device_type: str) -> dict[str, Any]:
    """Have an optimizer of torch be one kernel on a GPU, instead of some for each operation; elsewhere it stays.

    Float16 with loss scaling then asks the device no more whether a step is skipped. ``fused=False`` or ``foreach`` in
    the config keeps the other.

    Args:
        optimizer: Its config.
        device_type: Of the weights, such as ``'cuda'``.
    """
    kind = getattr(torch.optim, str(optimizer.get("type")), None)
    parameters = inspect.signature(kind).parameters if inspect.isclass(kind) else {}
    chosen = {*WAYS_TO_COMPUTE, "differentiable"} & {*optimizer}
    if device_type != "cuda" or "fused" not in parameters or chosen:
        return dict(optimizer)
    return {**optimizer, "fused": True}


def check_optimizer(optimizer: Optimizer) -> None:
    """Raise ConfigError for an optimizer that a step cannot use: it wants several losses a step, or sparse gradients.

    A step has one forward pass, and the gradients of a detector are dense.
    """
    name = type(optimizer).__name__
    closure = inspect.signature(type(optimizer).step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        why = "computes the loss several times a step, and a step computes it once"
    elif isinstance(optimizer, SparseAdam):
        why = "takes sparse gradients, and those of a detector are dense"
    else:
        return
    raise ConfigError(f"optim_wrapper.optimizer: {name} {why}; take another, such as SGD or AdamW")
