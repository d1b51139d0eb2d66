"""Plain values from what a checkpoint held."""

from collections import Counter
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from torch import Tensor

_DEEPEST = 100  # levels of values in values
_MOST = 10_000_000  # values, each counted as often as it is used
_SPARE = 2**26  # bytes that tensors may claim beyond those of the file
_LONGEST_NUMBER = 4000  # bits; Python refuses to print larger ones


class NotPlainError(ValueError):
    """A value that is no plain one; the message says which and why."""


class StoredHistory:
    """What a checkpoint says of a HistoryBuffer, which would take methods from it for all others too."""

    state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class Plain:
    """Copies values of a checkpoint; what is left are dicts, lists, tuples, sets, texts, numbers, arrays and tensors.

    Tensors and arrays are not copied. No value is an object with attributes of its own, within itself, too deep, or
    larger than what the file could hold.

    Args:
        size: Bytes of the file.
    """

    def __init__(self, size: int):
        self._left = size + _SPARE
        self._known: dict[int, tuple[Any, Any, int]] = {}  # the value, kept so that its id stays its own; copy; values
        self._open: set[int] = set()
        self._storages: set[int] = set()

    def copy(self, value: Any) -> Any:
        """Copy a value. Raise NotPlainError if it cannot be."""
        copied, _ = self._copy(value, "", 0)
        return copied

    def _copy(self, value: Any, where: str, depth: int) -> tuple[Any, int]:
        if value is None or isinstance(value, bool | float | str | bytes):
            return value, 1
        if type(value) is int:
            if value.bit_length() > _LONGEST_NUMBER:
                raise NotPlainError(f"{where} is a number of {value.bit_length()} bits")
            return value, 1
        if id(value) in self._known:
            _, copied, count = self._known[id(value)]
            return copied, count
        if id(value) in self._open:
            raise NotPlainError(f"{where} contains itself")
        if depth > _DEEPEST:
            raise NotPlainError(f"it has values more than {_DEEPEST} levels deep")
        self._open.add(id(value))
        copied, count = self._copy_object(value, where, depth + 1)
        self._open.remove(id(value))
        if count > _MOST:
            raise NotPlainError(f"{where or 'it'} has more than {_MOST} values")
        self._known[id(value)] = value, copied, count
        return copied, count

    def _copy_object(self, value: Any, where: str, depth: int) -> tuple[Any, int]:
        if isinstance(value, dict):
            items: dict[Any, Any] = {}
            count = 1
            for key in dict.keys(value):  # an OrderedDict's own may be anything
                if not isinstance(key, str | int | float | bool | None | tuple):
                    raise NotPlainError(f"{where or 'it'} has a key of type {type(key).__name__}")
                below = f"{where}.{_short(key)}" if where else _short(key)
                items[key], size = self._copy(dict.__getitem__(value, key), below, depth)
                count += size
            return (Counter(items) if isinstance(value, Counter) else items), count
        if isinstance(value, list | tuple | set | torch.Size):
            copies = [self._copy(item, f"{where}[{index}]", depth) for index, item in enumerate(value)]
            kind = list if isinstance(value, list) else set if isinstance(value, set) else tuple
            return kind(copied for copied, _ in copies), 1 + sum(size for _, size in copies)
        if isinstance(value, Tensor):
            return self._tensor(value, where), 1
        if isinstance(value, StoredHistory):
            return _history(value.state, where), 1
        if type(value) is np.ndarray or isinstance(value, np.generic):
            if value.dtype.kind not in "biufU":
                raise NotPlainError(f"{where} is an array of {value.dtype}")
            self._claim(value.nbytes, where)
            return value, 1
        if isinstance(value, np.dtype | torch.dtype | torch.device):
            return value, 1
        raise NotPlainError(f"{where or 'it'} is a {type(value).__name__}, which is no data")

    def _tensor(self, tensor: Tensor, where: str) -> Tensor:
        plain = type(tensor) in (Tensor, torch.nn.Parameter) and not tensor.is_quantized and not tensor.is_nested
        if not plain or tensor.is_meta or tensor.layout != torch.strided or tensor.is_complex():
            raise NotPlainError(f"{where} is no plain tensor of numbers")
        storage = tensor.untyped_storage()
        if storage._cdata not in self._storages:  # torch's identity of a storage
            self._storages.add(storage._cdata)
            self._claim(storage.nbytes(), where)
        self._claim(max(0, tensor.numel() * tensor.element_size() - storage.nbytes()), where)
        return tensor.detach()

    def _claim(self, size: int, where: str) -> None:
        self._left -= size
        if self._left < 0:
            raise NotPlainError(f"{where} claims more numbers than the file has")


def _history(state: Any, where: str) -> HistoryBuffer:
    """Make a history of the log from its numbers and nothing else."""
    data = [state.get(f"_{kind}_history") if type(state) is dict else None for kind in ("log", "count")]
    arrays = [array for array in data if type(array) is np.ndarray and array.ndim == 1 and array.dtype.kind in "iuf"]
    if len(arrays) != 2 or not 0 < len(arrays[0]) == len(arrays[1]) or not (arrays[1] > 0).all():
        raise NotPlainError(f"{where} is no history of numbers and how often each counts")
    return HistoryBuffer(*arrays)


def _short(key: Any) -> str:
    text = str(key)
    return text if len(text) <= 80 and text.isprintable() else repr(text[:80])
