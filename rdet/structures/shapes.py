"""Whether a part gave what its slot takes. Shapes and types are known without waiting for the device."""

from typing import Any

import torch
from torch import Tensor

from rdet.errors import PartError


def checked(value: Any, shape: tuple[int, ...], who: str, letters: str) -> Tensor:
    """Return what a part gave, which must be a tensor of one shape.

    A number where each positive should have one, or a column of them, would be broadcast without a word.

    Args:
        value: What it gave.
        shape: What it must be.
        who: The part, for the message.
        letters: The shape in letters, for the message.

    Raises:
        PartError: It is another.
    """
    if not isinstance(value, Tensor):
        raise PartError(f"{who} gave a {type(value).__name__}; it must be a tensor {letters}, here {shape}")
    tensor: Tensor = value
    if tensor.shape != shape:
        raise PartError(f"{who} gave a tensor {tuple(tensor.shape)}; it must be {letters}, here {shape}")
    return tensor


def checked_indices(value: Any, shape: tuple[int, ...], who: str, letters: str) -> Tensor:
    """Return what a part gave, which must be int64 and of one shape; see :func:`checked`."""
    index = checked(value, shape, who, letters)
    if index.dtype != torch.int64:
        raise PartError(f"{who} gave {index.dtype}; it must be int64")
    return index


def name_of(slot: str, part: object) -> str:
    """Name a part for a message: ``model.loss_bbox (MyLoss)``."""
    return f"model.{slot} ({type(part).__name__})"
