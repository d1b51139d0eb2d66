"""From the loss of each element to one number, for use outside the detector, which divides by its positives."""

from collections.abc import Callable

import torch
from torch import Tensor

_REDUCTIONS: dict[str, Callable[[Tensor], Tensor]] = {"none": lambda loss: loss, "mean": torch.mean, "sum": torch.sum}


def reduced(loss: Tensor, reduction: str) -> Tensor:
    """Reduce ``loss`` (...) to its ``'mean'`` or ``'sum'``; ``'none'`` leaves it as it is.

    Raises:
        ValueError: There is no such ``reduction``.
    """
    if reduction not in _REDUCTIONS:
        raise ValueError(f"reduction is {reduction!r}; valid: {', '.join(map(repr, _REDUCTIONS))}")
    return _REDUCTIONS[reduction](loss)
