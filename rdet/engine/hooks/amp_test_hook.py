"""Mixed precision in tests."""

import copy

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from rdet.errors import ConfigError
from rdet.registry import HOOKS


@HOOKS.register_module()
class AmpTestHook(Hook):
    """Tests a copy of the detector that is ready for inference in mixed precision: ``tools/test.py --amp``.

    The copy is made after all other hooks have prepared the detector, such as the one that puts averaged weights in
    the place of the last ones. After the test the detector is in its place again.

    Args:
        dtype: ``'bfloat16'``, on CPU and GPU, or ``'float16'``, on GPU.
    """

    priority = "LOWEST"

    def __init__(self, dtype: str = "bfloat16"):
        if dtype not in ("bfloat16", "float16"):
            raise ConfigError(f"AmpTestHook.dtype is {dtype!r}; valid: 'bfloat16', 'float16'")
        self.dtype = getattr(torch, dtype)

    def before_test_epoch(self, runner) -> None:
        """Put a copy, and the detector's ``optimize_for_inference(dtype)``, in the place of the detector."""
        self._holder, self._name, model = runner, "model", runner.model
        while is_model_wrapper(model) or not hasattr(model, "optimize_for_inference"):  # a wrapper, or augmentation's
            self._holder, self._name, model = model, "module", model.module
        self._detector = model
        copied = copy.deepcopy(model)
        copied.optimize_for_inference(self.dtype)
        setattr(self._holder, self._name, copied)

    def after_test_epoch(self, runner, metrics: dict | None = None) -> None:
        """Put the detector back."""
        setattr(self._holder, self._name, self._detector)
