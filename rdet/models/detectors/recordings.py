"""Which CUDA graphs are kept: a recording costs as much as many calls, and memory."""

import threading
import warnings
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from rdet.messages import in_one_line

R = TypeVar("R")

_OTHER_NUMBERS = "a replay gives other numbers; an operator of the network does not run on torch's stream"
_NOTHING = 1e-6
# torch records one graph at a time.
_ONE_AT_A_TIME = threading.Lock()
# How often something is asked for before it is recorded.
_TIMES = 3
# Recordings that are kept, and after how many calls without it one may go for another.
_MOST = 8
_IDLE = 256
_COUNTED = 512


def tensors_in(found: Any) -> list[Tensor]:
    """Give the tensors of floats in tuples, lists and dicts."""
    return [leaf for leaf in tree_leaves(found) if isinstance(leaf, Tensor) and leaf.is_floating_point()]


def check_replay(found: Sequence[Tensor], expected: Sequence[Tensor], far: float = 0.1) -> None:
    """Raise RuntimeError unless a replay has given what was computed without it.

    Args:
        found: What it gave.
        expected: Without it.
        far: How far each tensor may be, of how much its numbers differ from their mean, and beside rounding.
    """
    for one, other in zip(found, expected, strict=True):
        rounding = torch.finfo(other.dtype).eps if other.is_floating_point() else 0.0
        one, other = one.detach().float(), other.detach().float()
        if not other.isfinite().all():
            raise RuntimeError("the network gives numbers that are not finite")
        if not (one - other).norm() <= far * (other - other.mean()).norm() + rounding * other.norm() + _NOTHING:
            raise RuntimeError(_OTHER_NUMBERS)


def check_gradients(found: Sequence[Tensor | None], expected: Sequence[Tensor | None]) -> None:
    """Raise RuntimeError unless a replay has given the gradients of all weights, but for those that hardly matter.

    Rounding is all that some have, such as a bias before batch normalisation; and where a map is sampled at a cell, it
    decides which slope the map has there. So half of a gradient may differ, and a fiftieth of all.
    """
    if [one is None for one in found] != [one is None for one in expected]:
        raise RuntimeError("a replay gives gradients of other weights")
    pairs = [(one, other) for one, other in zip(found, expected, strict=True) if one is not None and other is not None]
    lengths = torch.stack([torch.linalg.vector_norm(other, dtype=torch.float32) for _, other in pairs])
    errors = torch.stack([torch.linalg.vector_norm(one - other, dtype=torch.float32) for one, other in pairs])
    if not (errors <= 0.5 * lengths + 0.02 * lengths.norm() + _NOTHING).all():
        raise RuntimeError(_OTHER_NUMBERS)


class Recordings(Generic[R]):
    """Records what is often asked for, such as the batches of one shape, and keeps some recordings.

    Args:
        what: What it is that is recorded, for a warning that it cannot be.
    """

    def __init__(self, what: str):
        self.what = what
        self.is_possible = True
        self._calls = 0
        self._times: dict[Hashable, int] = {}
        self._kept: dict[Hashable, R] = {}
        self._last_call: dict[Hashable, int] = {}

    def of(self, key: Hashable, record: Callable[[], R]) -> R | None:
        """Return the recording of a key; None if there is none, which is to be done without.

        Args:
            key: What is asked for.
            record: Makes it. Where it raises RuntimeError, that is warned of, and nothing is recorded any more.
        """
        self._calls += 1
        if key not in self._kept and (not self._is_due(key) or not self._has_room()):
            return None
        self._last_call[key] = self._calls
        if key not in self._kept:
            try:
                with _ONE_AT_A_TIME:
                    self._kept[key] = record()
            except RuntimeError as error:
                self.is_possible = False
                self._kept.clear()
                reason = in_one_line(str(error).strip().partition("\n")[0])
                warnings.warn(f"{self.what} cannot be recorded as a CUDA graph, and is slower: {reason}", stacklevel=4)
                return None
        return self._kept[key]

    def _is_due(self, key: Hashable) -> bool:
        times = self._times.pop(key, 0) + 1
        if len(self._times) >= _COUNTED:
            self._times.pop(next(iter(self._times)))  # what was not asked for longest
        self._times[key] = times
        return self.is_possible and times >= _TIMES

    def _has_room(self) -> bool:
        if len(self._kept) < _MOST:
            return True
        oldest = min(self._kept, key=lambda key: self._last_call[key])
        if self._calls - self._last_call[oldest] <= _IDLE:
            return False
        del self._kept[oldest], self._last_call[oldest]
        return True
