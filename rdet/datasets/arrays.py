"""Images as numpy's files, for numbers of channels that picture formats do not have."""

import io
import math

import numpy as np

MAGIC = b"\x93NUMPY"


def array_shape(data: bytes) -> tuple[tuple[int, ...], np.dtype, int]:
    """Read the header of a ``.npy`` file: shape, type, and bytes before the values.

    Raises:
        ValueError: It is none that holds an image (H, W) or (H, W, N) of numbers.
    """
    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
    except Exception as error:  # numpy parses it as Python's text, and raises whatever comes of that
        raise ValueError(f"its header is damaged ({type(error).__name__})") from error
    if dtype.kind not in "uif" or len(shape) not in (2, 3) or 0 in shape:
        raise ValueError(f"an array {shape} of {dtype} is no image (H, W) or (H, W, N) of numbers")
    return shape, dtype, file.tell()


def read_array(data: bytes) -> np.ndarray:
    """Read a ``.npy`` file as (H, W, N). Raise ValueError as :func:`array_shape`, or if values are missing."""
    shape, dtype, begin = array_shape(data)
    if math.prod(shape) * dtype.itemsize != len(data) - begin:
        raise ValueError(f"an array {shape} of {dtype} has {len(data) - begin} bytes of values")
    array = np.load(io.BytesIO(data), allow_pickle=False)
    return np.ascontiguousarray(array.reshape(*shape[:2], -1))


def as_picture(image: np.ndarray) -> np.ndarray:
    """Return three channels to look at: the first three, or the mean of fewer."""
    if image.shape[2] >= 3:
        return np.ascontiguousarray(image[:, :, :3])
    return np.repeat(image.mean(axis=2, keepdims=True).astype(image.dtype), 3, axis=2)
