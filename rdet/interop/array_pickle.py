"""Reading pickles of numpy arrays without running what they may hold."""

import os
import pickle
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rdet.errors import CheckpointError, MissingFileError
from rdet.plain_values import NotPlainError, Plain

# numpy's modules, as its releases 1 and 2 call them.
_MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")
_NUMERIC = ("numpy.core.numeric", "numpy._core.numeric")


def _empty_array(kind: type, shape: tuple[int, ...], dtype: Any) -> np.ndarray[Any, Any]:
    """Stand in for numpy's ``_reconstruct``: an array that the pickle then fills."""
    if kind is not np.ndarray:
        raise pickle.UnpicklingError(f"an array of type {kind!r}")
    array: np.ndarray[Any, Any] = np.ndarray.__new__(np.ndarray, shape, _text(dtype))
    return array


def _number(dtype: np.dtype[Any], data: bytes | str) -> Any:
    """Stand in for numpy's ``scalar``: one number from its bytes."""
    if not isinstance(dtype, np.dtype) or dtype.hasobject:
        raise pickle.UnpicklingError(f"a number of type {dtype!r}")
    return np.frombuffer(data.encode("latin1") if isinstance(data, str) else data, dtype)[0]


def _from_buffer(
    data: bytes, dtype: np.dtype[Any], shape: tuple[int, ...], order: Literal["C", "F"]
) -> np.ndarray[Any, Any]:
    """Stand in for numpy's ``_frombuffer`` of pickle protocol 5."""
    array: np.ndarray[Any, Any] = np.frombuffer(data, dtype).reshape(shape, order=order)
    return array


def _dtype(name: Any, *_: Any) -> np.dtype[Any]:
    dtype: np.dtype[Any] = np.dtype(_text(name))
    return dtype


def _encode(text: str, encoding: str) -> bytes:
    """Stand in for ``_codecs.encode``, by which Python 3 writes bytes into old protocols."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes in the encoding {encoding!r}")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """Stand in for ``bytes``, by which Python 3 writes an empty one into old protocols."""
    return b""


def _text(value: Any) -> Any:
    return value.decode("ascii") if isinstance(value, bytes) else value


class _RefusedError(pickle.UnpicklingError):
    """A pickle names what is not in ``_ALLOWED``; the message is the name."""


# All that a pickle may name. Lists, dicts, tuples, strings and numbers need no name.
_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): _dtype,
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): _no_bytes,
    ("collections", "OrderedDict"): dict,
    **{(module, "_reconstruct"): _empty_array for module in _MULTIARRAY},
    **{(module, "scalar"): _number for module in _MULTIARRAY},
    **{(module, "_frombuffer"): _from_buffer for module in _NUMERIC},
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise _RefusedError(f"{module}.{name}")
        return _ALLOWED[module, name]


def read_array_pickle(path: str | Path) -> Any:
    """Read a pickle that holds numpy arrays, dicts, lists, tuples, strings and numbers, and nothing else.

    Args:
        path: The file.

    Raises:
        MissingFileError: There is no such file.
        CheckpointError: It is no pickle, or names anything else, which might run code.
    """
    if not Path(path).is_file():
        raise MissingFileError(f"no checkpoint at {path}; give the path of a file")
    with open(path, "rb") as file:
        try:
            return Plain(os.path.getsize(path)).copy(_Unpickler(file, encoding="latin1").load())
        except _RefusedError as error:
            raise CheckpointError(
                f"{path} cannot be read (it holds {error}, which is no data and may run code); take another"
            ) from error
        except NotPlainError as error:
            raise CheckpointError(f"{path} cannot be read ({error}); take another") from error
        except Exception as error:  # a damaged pickle raises anything
            raise CheckpointError(
                f"{path} cannot be read (it is no pickle of arrays: {type(error).__name__}); take another"
            ) from error
