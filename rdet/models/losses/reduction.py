"""From the loss of each element to one number, for use outside the detector, which divides by its positives."""

from collections.abc import Callable

import torch
from torch import Tensor

_REDUCTIONS: dict[str, Callable[[Tensor], Tensor]] = {"none": lambda loss: loss, "mean": torch.mean, "sum": torch.sum}


def reduced(loss: Tensor, reduction: str) -> Tensor:
    """``loss`` as it is (``'none'``), or its ``'mean'`` or ``'sum'``. Raises ValueError for another name."""
    if reduction not in _REDUCTIONS:
        raise ValueError(f"reduction is {reduction!r}; valid: {', '.join(map(repr, _REDUCTIONS))}")
    return _REDUCTIONS[reduction](loss)
