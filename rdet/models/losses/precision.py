"""The precision that losses are computed in."""

import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """Half precision becomes float32, which can hold 1 - p near 1 and areas in pixels; float64 stays."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
