"""A GPU that is not there: tensors on it have shapes and no numbers, and who asks for a number is told off."""

from contextlib import contextmanager

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._pytree import tree_leaves


class _OnTheGpu(FakeTensorMode):
    """Has tensors that are moved to CUDA, or made there, be fake; all others keep their numbers, as on a host."""

    def __init__(self):
        super().__init__(allow_non_fake_inputs=True)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        leaves = tree_leaves((args, kwargs or {}))
        if any(isinstance(leaf, FakeTensor) or _is_gpu(leaf) for leaf in leaves):
            return super().__torch_dispatch__(func, types, args, kwargs)
        return func(*args, **(kwargs or {}))


def _is_gpu(leaf):
    return isinstance(leaf, torch.device) and leaf.type == "cuda"


@contextmanager
def pretended_gpu(monkeypatch):
    """Inside, ``tensor.to("cuda")`` works on any machine; ``item``, ``nonzero`` and the like of it raise."""
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor, device=None: tensor)
    with _OnTheGpu() as mode:
        try:
            torch.ones(1).to("cuda")
        except RuntimeError:
            if torch.torch_version.TorchVersion(torch.__version__) >= (2, 11):
                raise
            pytest.skip("older torch asks for a driver before a tensor can claim to be on CUDA")
        yield mode
