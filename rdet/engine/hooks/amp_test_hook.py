"""Mixed precision in tests."""

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from rdet.registry import HOOKS


@HOOKS.register_module()
class AmpTestHook(Hook):
    """Makes the model ready for inference in mixed precision before it is tested: ``tools/test.py --amp``.

    For test runs only: the model can no longer be trained or loaded into. It runs after all other hooks,
    such as the one that puts averaged weights in the place of the last ones.

    Args:
        dtype: ``'bfloat16'``, on CPU and GPU, or ``'float16'``, on GPU.
    """

    priority = "LOWEST"

    def __init__(self, dtype: str = "bfloat16"):
        if dtype not in ("bfloat16", "float16"):
            raise ValueError(f"AmpTestHook.dtype is {dtype!r}; valid: 'bfloat16', 'float16'")
        self.dtype = getattr(torch, dtype)

    def before_test_epoch(self, runner) -> None:
        """Calls the detector's ``optimize_for_inference(dtype)``."""
        model = runner.model
        while is_model_wrapper(model) or not hasattr(model, "optimize_for_inference"):  # a wrapper, or augmentation's
            model = model.module
        model.optimize_for_inference(self.dtype)
