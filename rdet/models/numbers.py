"""Numbers of a config in calculations on a device, to which the host sends no tensor: it is not waited for."""

from collections.abc import Callable, Sequence
from itertools import groupby

import torch
from torch import Tensor


def times(x: Tensor, factors: Sequence[float], dim: int = -1) -> Tensor:
    """Multiply by one number for each place along ``dim``."""
    return _by_place(x, factors, dim, torch.mul, 1.0)


def divided(x: Tensor, divisors: Sequence[float], dim: int = -1) -> Tensor:
    """Divide by one number for each place along ``dim``."""
    return _by_place(x, divisors, dim, torch.div, 1.0)


def plus(x: Tensor, terms: Sequence[float], dim: int = -1) -> Tensor:
    """Add one number for each place along ``dim``."""
    return _by_place(x, terms, dim, torch.add, 0.0)


def numbers_like(values: Sequence[Sequence[float]], like: Tensor) -> Tensor:
    """Make a tensor (R, C) of numbers, of the type and on the device of another."""
    return torch.stack([torch.stack([like.new_full((), value) for value in row]) for row in values])


def _by_place(
    x: Tensor, numbers: Sequence[float], dim: int, operation: Callable[[Tensor, float], Tensor], without: float
) -> Tensor:
    runs = [(number, len(list(same))) for number, same in groupby(numbers)]
    if len(runs) == 1:
        return x if runs[0][0] == without else operation(x, runs[0][0])
    parts = x.split([length for _, length in runs], dim=dim)
    return torch.cat([operation(part, number) for part, (number, _) in zip(parts, runs, strict=True)], dim=dim)
