"""Where mixed precision must not reach."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def no_autocast(tensor: Tensor) -> AbstractContextManager[object]:
    """Return a context without autocast on the device of a tensor; some devices, such as meta, never have it.

    An export has none either: the context would stand in its program as an operator.
    """
    if torch.compiler.is_exporting():
        return nullcontext()
    kind = tensor.device.type
    return torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext()
